"""Which process this is. What a forked child inherits (sockets, locks, loops) belongs to its parent.

Python tells of the forks that it makes. uWSGI's preforking and extensions in C make theirs without it, so every
operation compares the process's number too: `look()`.
"""

import os
import threading
from collections.abc import Callable
from os import getpid

_handlers: list[Callable[[], None]] = []
_pid = getpid()
_locks: dict[int, threading.Lock] = {}
"""By process: one that is found in a child can't have been held by a thread of its parent."""


def in_child(handler: Callable[[], None]) -> Callable[[], None]:
    """Have `handler` called in every child, before its first operation. It may wait for no lock. A decorator."""
    _handlers.append(handler)
    return handler


def look() -> None:
    """Leave to the parent what is the parent's, if this process was forked since the last look."""
    if getpid() != _pid:
        _forked()


def _forked() -> None:
    global _pid
    with _locks.setdefault(getpid(), threading.Lock()):
        if getpid() == _pid:
            return
        for handler in _handlers:
            handler()
        # Last: another thread of this child waits above until nothing that is the parent's is left.
        _pid = getpid()


os.register_at_fork(after_in_child=_forked)
