"""One Fleet per alias per process. Django makes a backend object for every thread and task; they all share it."""

import os
import threading
from typing import Any

from ..conf import Configuration, parse
from .fleet import Fleet

_lock = threading.RLock()  # protects _fleets
_fleets: dict[Configuration, Fleet] = {}


def fleet(alias: str, location: Any, options: dict[str, Any] | None = None) -> Fleet:
    """The fleet of a CACHES entry; made when it is first asked for. Raises ConfigurationError."""
    configuration = parse(alias, location, options)
    with _lock:
        found = _fleets.get(configuration)
        if found is None:
            found = _fleets[configuration] = Fleet(configuration)
        return found


def fleets() -> list[Fleet]:
    """Those in use in this process."""
    with _lock:
        return list(_fleets.values())


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)
