"""The near cache: values that this process read a moment ago, for all of its threads and loops.

In the last tenth of an entry's life one caller reads it again, while the others are served. A key comes in when it is
read the second time. Where nodes are far away it comes in the first time, since keeping a value costs next to nothing
beside reading it; and what is used is read again in the rounds of other keys, before it ends.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ..values.chunks import IN_CHUNKS
from ..values.conditions import CONDITIONAL
from .entries import Entries, Entry
from .plans import Plans

ENTRY_BYTES = 300
"""What an entry takes beside its value."""
_PLACE = 2**18 - 1
"""The bits of a key's hash that say where it is marked that it was read. A key that shares its place comes in at its
first reading: no harm."""
_TURNS = range(2, 256)
"""A mark is the turn in which it was made; 0 is older than the one before the first."""
_FIRST = bytes([0] * _TURNS[-1] + [_TURNS[0] - 1])
LARGEST_PART = 8
"""A value takes this part of the cache at most."""
RENEWED_PART = 0.9
"""Of its life, after which an entry is read again."""
FAR_SECONDS = 0.0001
"""A read that takes longer than this took a hundred times as long as to keep what it found."""
MOST_DUE = 50
"""Keys that are read again with another one."""
_immutable = frozenset({str, bytes, int, float, bool, type(None)})


class Near(Entries):
    """The entries of one process."""

    def __init__(self, most_bytes: int, freshness: float, clock: Callable[[], float]):
        self._half = most_bytes // 2
        self.hits = self.refused = 0
        super().__init__(freshness, clock)

    def _begin(self) -> None:
        super()._begin()
        # Two generations: what is in neither is forgotten, and no entry is ever looked for to be removed.
        self.young: dict[str, Entry] = {}
        self.old: dict[str, Entry] = {}
        self._seen, self._turns = bytearray(_PLACE + 1), _TURNS[0]
        self._far = False
        """Whether nodes are far away."""
        self._bytes = self._bytes_before = 0
        self._turn_at = float("-inf")
        self._seconds = 0.0
        self._due: deque[tuple[float, str]] = deque()
        """When which entry is due to be read again, where nodes are far away."""

    after_fork = _begin
    """A child begins anew: a thread of its parent may have held the lock."""

    @property
    def held_bytes(self) -> int:
        """What the entries take, about."""
        return self._bytes + self._bytes_before

    def read_before(self, made_key: str) -> bool:
        """Whether this key was read a moment ago and may be here, or is to come in at once. What was not costs no more
        than this look."""
        place, seen, turn = hash(made_key) & _PLACE, self._seen, self._turns
        last = seen[place]
        seen[place] = turn
        return last >= turn - 1 or self._far

    def all_read_before(self, made_keys: Iterable[str]) -> list[str]:
        """Those that were."""
        if self._far:
            return list(made_keys)
        seen, places, turn = self._seen, _PLACE, self._turns
        found = []
        for made_key in made_keys:
            place = hash(made_key) & places
            if seen[place] >= turn - 1:
                found.append(made_key)
            seen[place] = turn
        return found

    def find(self, made_key: str, now: float, plans: Plans, proven_until: float) -> Entry | None:
        """What may be served now. Of those who come in the last tenth of its life the first finds nothing."""
        entry = self.young.get(made_key) or self.old.get(made_key)
        if entry is None or not entry.proven(now, plans, proven_until):
            if now >= self._turn_at:  # Where nothing is ever admitted all places would be marked in the end.
                self._turn()
            return None
        if now >= entry.renew_at:
            entry.renew_at = entry.ends
            return None
        self.hits += 1
        entry.used = True
        return entry

    def due(self, now: float) -> list[str]:
        """What is to be read again together with a key that has to be asked for: entries that were used and end soon.
        Each is told once."""
        found: list[str] = []
        while self._due and self._due[0][0] <= now and len(found) < MOST_DUE:
            try:
                _, made_key = self._due.popleft()
            except IndexError:  # Another thread has taken it.
                break
            entry = self.young.get(made_key) or self.old.get(made_key)
            if entry is not None and entry.used and entry.renew_at <= now < entry.ends:
                entry.renew_at = entry.ends
                found.append(made_key)
        return found

    def admit(self, made_key: str, began: float, plans: Plans, flags: int, data: bytes, value: Any = ...) -> None:
        """Take in what was read by `plans` in an operation that began then, if it is worth it and may be served.
        Without its `value` it is kept as bytes."""
        if began >= self._turn_at or self._bytes > self._half:
            self._turn()
        size = len(data) + len(made_key) + ENTRY_BYTES
        self._seconds += (self._clock() - began - self._seconds) / 8
        self._far = self._seconds > FAR_SECONDS
        # An index is not kept: what it tells of would be asked for all the same.
        if size * LARGEST_PART > 2 * self._half or flags & IN_CHUNKS or self._late(began, plans):
            self.refused += 1
            return
        # What holds on conditions is looked at each time.
        decoded = type(value) in _immutable and not flags & CONDITIONAL
        ends, renew_at = began + self._freshness, began + self._freshness * RENEWED_PART
        entry = Entry(value if decoded else data, flags, decoded, plans, ends, renew_at)
        with self._lock:
            if self._overwritten(made_key, began):
                return
            self._seen[hash(made_key) & _PLACE] = self._turns  # What is here is looked for.
            self.young[made_key] = entry
            self._bytes += size
        if self._far:
            self._due.append((renew_at, made_key))

    def forget(self, made_key: str) -> None:
        """A node has just told that it is another one, or none, now."""
        with self._lock:
            self._drop(made_key)

    def _drop(self, made_key: str) -> None:
        self.young.pop(made_key, None)
        self.old.pop(made_key, None)

    def _drop_all(self) -> None:
        self.young, self.old = {}, {}
        self._bytes = self._bytes_before = 0
        self._due.clear()

    def _turn(self) -> None:
        with self._lock:
            now = self._clock()
            due = now >= self._turn_at
            if not due and self._bytes <= self._half:
                return  # Another thread has done it.
            self.old, self.young = self.young, {}
            if self._turns == _TURNS[-1]:  # What was marked in this turn is so in the one before the first.
                self._seen, self._turns = self._seen.translate(_FIRST), _TURNS[0]
            else:
                self._turns += 1
            self._bytes_before, self._bytes = self._bytes, 0
            if due:
                self._turn_at = now + self._freshness
            with suppress(IndexError):  # Another thread may take the last one. Callers of other methods take none.
                while self._due[0][0] <= now - self._freshness:
                    self._due.popleft()
