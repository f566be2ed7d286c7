"""One Fleet per alias per process. Django makes a backend object for every thread and task; they all share it."""

import threading
from typing import Any

from ..conf import Configuration, parse
from ..model.owner import Owner
from ..transport import forks
from .fleet import Fleet

_lock = threading.RLock()  # protects _fleets
_fleets: dict[Configuration, Fleet] = {}


def fleet(alias: str, location: Any, options: dict[str, Any] | None = None, owner: Owner = Owner()) -> Fleet:
    """The fleet of a CACHES entry; made when it is first asked for. Raises ConfigurationError."""
    forks.look()
    configuration = parse(alias, location, options, owner)
    with _lock:
        found = _fleets.get(configuration)
        if found is None:
            found = _fleets[configuration] = Fleet(configuration)
        return found


def fleets() -> list[Fleet]:
    """Those in use in this process."""
    with _lock:
        return list(_fleets.values())


@forks.in_child
def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
