"""Which fleet is meant: a cache alias of a Django project, or nodes named one by one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_dcache.backend import DistributedCache
from django_dcache.conf import Configuration, parse
from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.location import parse_nodes
from django_dcache.model.topology import Layout
from django_dcache.runtime.fleet import Fleet

from ..errors import NoProject, NotFound
from ..spelling import meant


@dataclass(frozen=True, slots=True)
class Target:
    """A fleet, and what the project at hand says of it. `of_alias` and `of_nodes` make one."""

    alias: str
    configuration: Configuration
    """Where to find the fleet, and how to use it."""
    wanted: Layout | None = None
    """What LOCATION says the fleet should be; None without a project."""
    make_key: Callable[[str], str] = str
    """From the key in the application's code to Django's full key."""

    @property
    def name(self) -> str:
        """The fleet's, by which it is known on its nodes and in the journal."""
        return self.configuration.fleet

    def require_project(self) -> None:
        """Raises ConfigurationError without one: how long each process may take to learn of an epoch is in OPTIONS."""
        if self.wanted is None:
            raise NoProject("its OPTIONS say how this is done")

    @contextmanager
    def connected(self) -> Iterator[Fleet]:
        """The fleet, to change it, with connections of its own. Raises ConfigurationError without a project."""
        self.require_project()
        fleet = Fleet(self.configuration)
        try:
            yield fleet
        finally:
            fleet.close()

    def found_at(self, nodes: str) -> "Target":
        """The same fleet, to be found at these nodes ("HOST:PORT,…"). Raises ConfigurationError."""
        try:
            layout = replace(self.configuration.layout, nodes=tuple(parse_nodes(nodes)))
        except InvalidTopology as error:
            raise ConfigurationError(f"--nodes: {error.detail}") from None
        return replace(self, configuration=replace(self.configuration, layout=layout))


def of_nodes(nodes: str, name: str = "default") -> Target:
    """The fleet `name` that is found at these nodes ("HOST:PORT,…"), without a project. Raises ConfigurationError."""
    return Target(name, parse(name, nodes))


def of_alias(alias: str | None = None) -> Target:
    """The fleet of a cache alias, in a project that is set up; None: of its one alias that has a fleet.

    Raises ConfigurationError.
    """
    try:
        alias = alias or _only_alias()
        if alias not in settings.CACHES:
            raise NotFound(f"no alias {alias!r} in CACHES; {meant(alias, settings.CACHES)}")
        cache = caches[alias]
        if not isinstance(cache, DistributedCache):
            ours = f"{DistributedCache.__module__}.{DistributedCache.__qualname__}"
            raise ConfigurationError(
                f"cache {alias!r} is {settings.CACHES[alias]['BACKEND']}, not {ours}; choose one with -c"
            )
        configuration = cache.fleet.configuration
    except (ImproperlyConfigured, ImportError) as error:
        raise ConfigurationError(str(error)) from error
    return Target(alias, configuration, configuration.layout, cache.make_key)


def aliases() -> list[str]:
    """The cache aliases of this project that have a fleet. Raises ImportError for a BACKEND that can't be imported."""
    return [
        alias
        for alias, entry in settings.CACHES.items()
        if issubclass(import_string(entry["BACKEND"]), DistributedCache)
    ]


def _only_alias() -> str:
    """ "default" if it has a fleet, else the one alias that has."""
    ours = aliases()
    return ours[0] if len(ours) == 1 else "default"
