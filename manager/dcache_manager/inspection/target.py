"""Which fleet a command is about: a cache alias of a Django project, or nodes named on the command line."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

from django_dcache.conf import Configuration, parse, parse_nodes
from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.model.topology import Layout
from django_dcache.runtime.fleet import Fleet

from ..cli.options import Choices

OURS = "django_dcache.backend.DistributedCache"


@dataclass(frozen=True, slots=True)
class Target:
    alias: str
    configuration: Configuration
    """Where to find the fleet, and how to use it."""
    wanted: Layout | None = None
    """What LOCATION says the fleet should be; None without a project."""
    make_key: Callable[[str], str] = str
    """From the key in the application's code to Django's full key."""

    def fleet(self) -> Fleet:
        """The door to the fleet, for a command that changes it. Raises ConfigurationError without a project."""
        if self.wanted is None:
            # How long everybody may take to learn of an epoch is said in OPTIONS.
            raise ConfigurationError("changing a fleet needs the project's OPTIONS; give --settings MODULE")
        return Fleet(self.configuration)


def find(choices: Choices) -> Target:
    """What the options, or the environment, point to. Raises ConfigurationError."""
    target = _find(choices)
    if choices.verbose:
        # After the project, which may have configured its own logging.
        logging.basicConfig(
            level=logging.INFO if choices.verbose == 1 else logging.DEBUG, stream=sys.stderr, force=True
        )
    return target


def _find(choices: Choices) -> Target:
    if choices.settings:
        target = _of_project(choices)
    elif choices.nodes:
        return Target(choices.cache or "default", parse(choices.cache or "default", choices.nodes))
    else:
        raise ConfigurationError("no fleet named; give --settings MODULE, or --nodes HOST:PORT,…")
    if choices.nodes:
        try:
            layout = replace(target.configuration.layout, nodes=tuple(parse_nodes(choices.nodes)))
        except InvalidTopology as error:
            raise ConfigurationError(f"--nodes: {error}") from None
        return replace(target, configuration=replace(target.configuration, layout=layout))
    return target


def _of_project(choices: Choices) -> Target:
    from django.core.cache import caches
    from django.core.exceptions import ImproperlyConfigured

    from django_dcache.backend import DistributedCache

    settings = load_project(choices)
    try:
        alias = choices.cache or _only_alias(settings.CACHES)
        cache = caches[alias]
    except (ImproperlyConfigured, ImportError) as error:
        raise ConfigurationError(str(error)) from error
    if not isinstance(cache, DistributedCache):
        raise ConfigurationError(
            f"cache {alias!r} is {settings.CACHES[alias]['BACKEND']}, not {OURS}; choose one with -c"
        )
    configuration = cache.fleet.configuration
    return Target(alias, configuration, configuration.layout, cache.make_key)


def load_project(choices: Choices) -> Any:
    """Django's settings, with the project set up. Raises ConfigurationError."""
    import django
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    for place in (os.getcwd(), choices.pythonpath):
        if place and place not in sys.path:
            sys.path.insert(0, place)
    os.environ["DJANGO_SETTINGS_MODULE"] = choices.settings or ""
    try:
        # What a project prints or logs to stdout must not get into the answer.
        with redirect_stdout(sys.stderr):
            django.setup()
    except (ImportError, ImproperlyConfigured) as error:
        raise ConfigurationError(f"settings {choices.settings!r}: {error}") from error
    return settings


def _only_alias(entries: dict[str, Any]) -> str:
    """ "default" if it is ours, else the one alias that is."""
    from django.utils.module_loading import import_string

    from django_dcache.backend import DistributedCache

    ours = [alias for alias, entry in entries.items() if issubclass(import_string(entry["BACKEND"]), DistributedCache)]
    return ours[0] if len(ours) == 1 else "default"
