"""What a request has asked for at once, before it reads it key by key. Ends with the request.

The memory is the request's own, also where its code hops between threads and tasks: it lies in a context variable. So a
request never sees what was read before it began, and a user who has just written something finds it on every worker.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from ..transport import forks
from .entries import Entries, Entry
from .plans import Plans

begun = False
"""Whether a request of this process has asked for keys before it read them, or is going to."""
MISSING: Any = object()
"""The value of an entry whose key was on no copy."""


class Memories(dict[object, "Prefetched | None"]):
    """Those of one request, by fleet."""

    __slots__ = ()

    def __missing__(self, fleet: object) -> "Prefetched | None":
        """A cache is used for the first time."""
        return None


_of_request: ContextVar[Memories | None] = ContextVar("dcache_prefetched", default=None)
of_request = _of_request.get
"""The memories of the present request, if it has any."""


class Prefetched(Entries):
    """The memory of one request for one fleet."""

    def __init__(self, freshness: float, clock: Callable[[], float]):
        super().__init__(freshness, clock)
        self._entries: dict[str, Entry] = {}
        self.expected: Callable[[], Iterable[str]] | None = None
        """The made keys that are to be fetched when the first one is read: called once."""
        self.reads: dict[str, float] | None = None
        """The made keys that were read before they were written, each by its part of a call, if the request is watched;
        those that were written first by 0."""
        self.fetched: dict[str, int] = {}
        """How many bytes were fetched of each key that was fetched."""
        self.fetch_seconds = 0.0
        """How long it took the nodes to answer, the last time."""

    def begin(self, made_keys: Collection[str]) -> Iterable[str]:
        """A call reads these. What is to be fetched with them: something for the first call only."""
        if self.reads is not None:
            for made_key in made_keys:
                self.reads.setdefault(made_key, 1 / len(made_keys))
        expected, self.expected = self.expected, None
        return expected() if expected else ()

    def find(self, made_key: str, plans: Plans, proven_until: float) -> Entry | None:
        """What may be served now."""
        entry = self._entries.get(made_key)
        return entry if entry is not None and entry.proven(self._clock(), plans, proven_until) else None

    def admit(self, began: float, plans: Plans, found: Mapping[str, tuple[int, bytes] | None]) -> None:
        """Take in what an operation that began then has found by `plans`: flags and data, or None for nothing."""
        self.fetch_seconds = self._clock() - began
        late, ends = self._late(began, plans), began + self._freshness
        with self._lock:
            for made_key, read in found.items():
                flags, data = read or (0, b"")
                self.fetched[made_key] = len(data)
                if not late and not self._overwritten(made_key, began):
                    self._entries[made_key] = Entry(data if read else MISSING, flags, not read, plans, ends)

    def share(self, made_key: str, began: float, entry: Entry) -> None:
        """Take in what the near cache has served at that moment."""
        with self._lock:
            if not self._overwritten(made_key, began):
                self._entries[made_key] = entry

    def _drop(self, made_key: str) -> None:
        self._entries.pop(made_key, None)
        if self.reads is not None:
            self.reads.setdefault(made_key, 0.0)

    def _drop_all(self) -> None:
        self._entries = {}


def of(fleet: object) -> Prefetched | None:
    """The memory of the present request, if it has one."""
    memories = _of_request.get()
    return None if memories is None else memories[fleet]


def here(fleet: object, freshness: float, clock: Callable[[], float]) -> Prefetched:
    """The memory of the present request; from now on it has one."""
    memories = _of_request.get()
    if memories is None:
        begin(memories := Memories())
    memory = memories[fleet]
    if memory is None:
        memory = memories[fleet] = Prefetched(freshness, clock)
    return memory


def begin(memories: Memories) -> None:
    """From now on the present request has these."""
    _of_request.set(memories)


@forks.in_child
def forget() -> None:
    """What follows is another request."""
    if _of_request.get() is not None:  # To look takes less time than to set it.
        _of_request.set(None)
