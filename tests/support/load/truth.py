"""What may be read of each key, shared by the processes of a load: who wrote what, and when it was acknowledged.

No locks: each key has one writer, which announces a change (`started`) before it makes it and records it (`finished`)
after it was acknowledged; each counter has a column for each process. Times are monotonic, the same in all processes.
"""

import pickle
import random
from functools import cache
from multiprocessing.sharedctypes import RawArray
from typing import Any, NamedTuple

from django_dcache.values.plain import BYTES, PICKLE, TEXT

HISTORY = 32
"""How many acknowledgements of a key are remembered, to tell by how much a stale read lags."""
LIFE = 10**7
"""A counter that was lost begins its next life so much higher: whatever happens, its numbers only grow."""
NEVER, ABSENT = float("inf"), 0.0
SLACK = 3.5
"""Seconds around its expiry in which a key may be there or not: memcached counts whole seconds, and each move too."""


class Wrong(AssertionError):
    """A value that nobody wrote."""


class Look(NamedTuple):
    """The truth about one key at one moment."""

    started: int
    finished: int
    expires: float

    def certain(self, now: float) -> bool | None:
        """Whether the key must be there; None: nobody can tell."""
        if self.started != self.finished or abs(self.expires - now) < SLACK:
            return None
        return self.expires > now


class Truth:
    def __init__(self, keys: int, counters: int, processes: int):
        self.keys, self.counters, self.processes = keys, counters, processes
        self._started, self._finished, self._acknowledged = (RawArray("q", keys) for _ in range(3))
        self._expires = RawArray("d", keys)
        self._versions, self._times = RawArray("q", keys * HISTORY), RawArray("d", keys * HISTORY)
        self._counts, self._seen = (RawArray("q", counters * processes) for _ in range(2))
        self.lives = RawArray("q", counters)
        self.born = RawArray("q", counters)
        """How much a counter had been counted when its present life began."""

    # Keys

    def look(self, key: int) -> Look:
        return Look(self._started[key], self._finished[key], self._expires[key])

    def version(self, key: int) -> int:
        """The newest that was acknowledged; a delete has one too."""
        return int(self._versions[key * HISTORY + (self._acknowledged[key] - 1) % HISTORY])

    def begin(self, key: int) -> int:
        """Announce a change; the version it may make. Later announcements have higher ones."""
        self._started[key] += 1
        return int(self._started[key])

    def acknowledge(self, key: int, now: float, expires: float | None = None, version: int | None = None) -> None:
        """The change is made: a new version, another expiry (`ABSENT`: deleted, `NEVER`), or both."""
        if expires is not None:
            self._expires[key] = expires
        if version is not None:
            place = key * HISTORY + self._acknowledged[key] % HISTORY
            # In this order: a reader between the two may miss the newest version, and never sees it too early.
            self._times[place] = now
            self._versions[place] = version
            self._acknowledged[key] += 1
        self._finished[key] = self._started[key]

    def lag(self, key: int, version: int, began: float) -> float:
        """For how long something newer than `version` had been acknowledged when the read of it began; 0: not stale."""
        first = key * HISTORY
        return max(
            (began - self._times[at] for at in range(first, first + HISTORY) if self._versions[at] > version),
            default=0.0,
        )

    # Counters

    def count(self, counter: int, process: int) -> None:
        """One more addition is about to be tried."""
        self._counts[counter * self.processes + process] += 1

    def counted(self, counter: int) -> int:
        """How many additions have been tried."""
        return sum(self._counts[counter * self.processes : (counter + 1) * self.processes])

    def saw(self, counter: int, process: int, number: int) -> None:
        place = counter * self.processes + process
        self._seen[place] = max(self._seen[place], number)

    def seen(self, counter: int) -> int:
        """The highest number anybody was told."""
        return max(self._seen[counter * self.processes : (counter + 1) * self.processes])

    def highest(self, counter: int) -> int:
        """The highest number the counter may show."""
        return self.lives[counter] * LIFE + self.counted(counter) - self.born[counter]


def key_name(key: int) -> str:
    return f"key-{key}"


def counter_name(counter: int) -> str:
    return f"counter-{counter}"


@cache
def size(key: int) -> int:
    """50 B to 20 kB, as many small ones as large ones."""
    return int(50 * 400 ** random.Random(key).random())


def value(key: int, version: int) -> Any:
    """What is stored: text, bytes, or something pickled, all of it made of key and version."""
    text = (f"{key}:{version};" * (size(key) // 4 + 1))[: size(key)]
    return (text, text.encode(), (version, text))[key % 3]


def flags(key: int) -> int:
    return (TEXT, BYTES, PICKLE)[key % 3]


def stored(key: int, version: int) -> bytes:
    """`value` as a node holds it."""
    this = value(key, version)
    return this.encode() if isinstance(this, str) else this if isinstance(this, bytes) else pickle.dumps(this, 5)


def version_of(key: int, found: Any) -> int:
    """The version of a value that was read. Raises Wrong unless it is exactly what was written as that version."""
    text = found[1] if isinstance(found, tuple) else found.decode() if isinstance(found, bytes) else found
    try:
        version = int(text[: text.index(";")].partition(":")[2])
    except ValueError:
        version = -1
    if found != value(key, version):
        raise Wrong(f"{key_name(key)} holds {text[:60]!r}")
    return version
