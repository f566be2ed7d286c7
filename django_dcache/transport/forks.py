"""Which process this is. What a forked child inherits (sockets, locks, loops) belongs to its parent.

Python tells of the forks that it makes. uWSGI's preforking and extensions in C make theirs without it, so every
operation compares the process's number too: `look()`.
"""

import mmap
import os
import threading
from collections.abc import Callable
from os import getpid

MADV_WIPEONFORK = 18
"""Linux: a child gets the page filled with zeros, whichever library forks."""


def _own_page() -> mmap.mmap | bytes:
    """Its first byte is 1 in this process and 0 in a child, as far as the kernel can tell; else it is 0 everywhere."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(MADV_WIPEONFORK)
    except (AttributeError, OSError, ValueError):
        return b"\0"
    page[0] = 1
    return page


own: mmap.mmap | bytes = _own_page()
"""`if not own[0]: look()` is the quick way to look."""
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
    if not own[0] and getpid() != _pid:
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
        if isinstance(own, mmap.mmap):
            own[0] = 1


os.register_at_fork(after_in_child=_forked)
