"""Which fleet a command line is about, and the project around it."""

import logging
import os
import sys
import traceback
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from django_dcache.errors import ConfigurationError

from ..errors import NoProject, NotInstalled, NotPossible
from ..formatting import printable
from .options import Choices

if TYPE_CHECKING:
    from ..inspection.target import Target


def find(choices: Choices) -> "Target":
    """What the options, or the environment, point to; with the project set up. Raises ConfigurationError."""
    if not choices.settings and not choices.nodes:
        raise ConfigurationError("no fleet named; give --settings MODULE, or --nodes HOST:PORT,…")
    if choices.settings:
        set_up(choices.settings, choices.pythonpath)
    from ..inspection import target as targets  # Late: it needs Django, for which help must not wait.
    from ..inspection.access import reached

    if choices.settings:
        target = targets.of_alias(choices.cache)
        target = target.found_at(choices.nodes) if choices.nodes else target
    else:
        target = targets.of_nodes(choices.nodes or "", choices.cache or "default")
    target = reached(
        target,
        tls_ca=choices.tls_ca,
        tls_cert=choices.tls_cert,
        user=choices.user,
        password_file=choices.password_file,
        ask=choices.password,
    )
    if choices.verbose:
        # After the project, which may have configured its own logging.
        level = logging.INFO if choices.verbose == 1 else logging.DEBUG
        logging.basicConfig(level=level, stream=sys.stderr, force=True)
        logging.root.handlers[0].setFormatter(_PrintableFormatter(logging.BASIC_FORMAT))
    return target


class _PrintableFormatter(logging.Formatter):
    """What a node or a job said may hold what moves a cursor: that is shown, not done."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).splitlines()))


def find_in_project(choices: Choices) -> "Target":
    """As `find`, for what works on the fleet in LOCATION alone. Raises ConfigurationError."""
    if "nodes" in choices.typed:
        raise NotPossible("--nodes names the nodes of a fleet, and this works on the one in the project's LOCATION")
    target = find(choices)
    target.require_project()
    return target


def alias_in_project(choices: Choices) -> str:
    """The alias that is meant, of any backend, in a project that is set up. Raises ConfigurationError."""
    if not choices.settings:
        raise NoProject()
    set_up(choices.settings, choices.pythonpath)
    return choices.cache or "default"


def find_installed(choices: Choices) -> "Target":
    """As `find`, in a project with dcache_manager, whose models can be imported then. Raises ConfigurationError."""
    target = find_in_project(choices)
    from django.apps import apps  # Late, as above.

    if not apps.is_installed("dcache_manager"):
        raise NotInstalled
    return target


def set_up(settings: str, pythonpath: str | None) -> None:
    """Django, with the project's settings. Raises ConfigurationError."""
    import django  # Late, as above.

    for place in (os.getcwd(), pythonpath):
        if place and place not in sys.path:
            sys.path.insert(0, place)
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    try:
        # What a project prints or logs to stdout must not get into the answer.
        with redirect_stdout(sys.stderr):
            django.setup()
    except Exception as error:  # Whatever the project's own code raises.
        raise ConfigurationError(f"settings {settings!r} can't be loaded: {_told(error)}") from error


def _told(error: Exception) -> str:
    """What went wrong, and in which line of the project's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    if isinstance(error, ModuleNotFoundError) or not frames:
        return str(error)
    return f"{type(error).__name__}: {error} ({frames[-1].filename}, line {frames[-1].lineno})"
