"""The near cache: values that this process read a moment ago, served again without asking a node.

An entry is served while the request that read it was *sent* within `freshness`, while the view is proven, and while the
plans that it was read by are those of now: a bump, an invalidation or a resize that this process has heard of ends all
entries. So what is served lags a write as far as what a node is asked for may lag it, and no further. There is no
channel and no thread, and so no message that can get lost (docs/explanation/near.md).

An entry of half that age is read again by one caller, while the others are served. A key comes in when it is read the
second time. This process's own writes drop an entry before they are sent and after they are answered.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ..transport import forks
from .plans import Plans

ENTRY_BYTES = 300
"""What an entry takes beside its value."""
_PLACES = 2**16
"""Where it is marked that a key was read. A key that shares its place comes in at its first reading: no harm."""
LARGEST_PART = 8
"""A value takes this part of the cache at most."""
_immutable = frozenset({str, bytes, int, float, bool, type(None)})


class Entry:
    """One value. `decoded`: it is kept as it is, since nothing can change it; else as bytes."""

    __slots__ = ("value", "flags", "decoded", "plans", "ends", "renew_at")

    def __init__(self, value: Any, flags: int, decoded: bool, plans: Plans, ends: float, renew_at: float):
        self.value, self.flags, self.decoded = value, flags, decoded
        self.plans, self.ends, self.renew_at = plans, ends, renew_at


class Near:
    """The entries of one process, for all of its threads and loops."""

    def __init__(self, most_bytes: int, freshness: float, clock: Callable[[], float]):
        self._half, self._freshness, self._clock = most_bytes // 2, freshness, clock
        self.hits = self.refused = 0
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        # Two generations: what is in neither is forgotten, and no entry is ever looked for to be removed.
        self.young: dict[str, Entry] = {}
        self.old: dict[str, Entry] = {}
        self._seen, self._seen_before = bytearray(_PLACES), bytearray(_PLACES)
        self._written: dict[str, float] = {}
        self._written_before: dict[str, float] = {}
        self._writers: dict[str, int] = {}
        self._cleared_at = float("-inf")
        self._bytes = self._bytes_before = 0
        self._next_at = float("-inf")

    after_fork = _begin
    """A child begins anew: a thread of its parent may have held the lock."""

    @property
    def held_bytes(self) -> int:
        """What the entries take, about."""
        return self._bytes + self._bytes_before

    def find(self, made_key: str, plans: Plans, proven_until: float) -> Entry | None:
        """What may be served now. Of those who come in the second half of its life the first finds nothing."""
        entry = self.young.get(made_key) or self.old.get(made_key)
        if entry is None:
            return None
        now = self._clock()
        if now >= entry.ends or now >= proven_until or entry.plans is not plans:
            return None
        if now >= entry.renew_at:
            entry.renew_at = entry.ends
            return None
        self.hits += 1
        return entry

    def admit(self, made_key: str, began: float, plans: Plans, flags: int, data: bytes, value: Any) -> None:
        """Take in what was read by `plans` in an operation that began then, if it is worth it and may be served."""
        place = hash(made_key) & _PLACES - 1
        if began >= self._next_at or self._bytes > self._half:
            self._turn()
        if not self._seen[place]:
            self._seen[place] = 1
            if not self._seen_before[place] and made_key not in self.old:
                return
        if not plans.stable:
            return
        now = self._clock()
        with self._lock:
            size = len(data) + len(made_key) + ENTRY_BYTES
            if size * LARGEST_PART > 2 * self._half or now - began > self._freshness / 2:
                self.refused += 1
                return
            written = self._written.get(made_key) or self._written_before.get(made_key)
            if made_key in self._writers or (written and began <= written) or began <= self._cleared_at:
                return
            decoded = type(value) in _immutable
            ends = began + self._freshness
            renew_at = began + self._freshness / 2
            self.young[made_key] = Entry(value if decoded else data, flags, decoded, plans, ends, renew_at)
            self._bytes += size

    @contextmanager
    def writing(self, made_keys: Collection[str]) -> Iterator[None]:
        """While these are written: what was read before they were answered is not taken in."""
        forks.look()  # Nothing else has looked yet, and a lock that a thread of the parent held is held for ever.
        with self._lock:
            for made_key in made_keys:
                self._writers[made_key] = self._writers.get(made_key, 0) + 1
                self._drop(made_key)
        try:
            yield
        finally:
            now = self._clock()
            with self._lock:
                for made_key in made_keys:
                    # None are known in a child that was forked meanwhile.
                    others = self._writers.pop(made_key, 1) - 1
                    if others:
                        self._writers[made_key] = others
                    self._written[made_key] = now
                    self._drop(made_key)

    @contextmanager
    def clearing(self) -> Iterator[None]:
        """The same, while all keys are removed."""
        forks.look()
        self._clear(float("inf"))
        try:
            yield
        finally:
            self._clear(self._clock())

    def _clear(self, at: float) -> None:
        with self._lock:
            self._cleared_at = at
            self.young, self.old = {}, {}
            self._bytes = self._bytes_before = 0

    def _drop(self, made_key: str) -> None:
        self.young.pop(made_key, None)
        self.old.pop(made_key, None)

    def _turn(self) -> None:
        with self._lock:
            now = self._clock()
            due = now >= self._next_at
            if not due and self._bytes <= self._half:
                return  # Another thread has done it.
            self.old, self.young = self.young, {}
            self._seen_before, self._seen = self._seen, bytearray(_PLACES)
            self._bytes_before, self._bytes = self._bytes, 0
            if due:  # A read that may still be taken in began after the turn before this one.
                self._written_before, self._written = self._written, {}
                self._next_at = now + self._freshness / 2
