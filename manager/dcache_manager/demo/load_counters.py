"""What the load processes know and count, in memory that all of them share.

Every number has one writer, so there is no lock: a price is changed by one process alone, and each process counts in
a row of its own.
"""

import mmap
import time
from pathlib import Path
from typing import NamedTuple

EDGE = ("pages", "kept", "changed", "late", "old")
"""Of the edge: `pages` it was asked for, and those that it had `kept`; pages that were looked at again after they had
`changed`, and those of them that were old after a second (`late`), and after ten (`old`)."""
COUNTS = ("requests", "hits", "misses", "writes", "stale", "errors", "warm", *EDGE)
NUMBER = 8  # bytes
FASTEST_SECONDS, STEP = 0.0005, 1.25
"""The scale of response times: where it begins, and the ratio of two steps."""
SCALE = [FASTEST_SECONDS * STEP**step for step in range(50)]
"""Upper bounds of response times, in seconds: 0.5 ms to half a minute."""
ROW = len(COUNTS) + len(SCALE)


class LoadCounters:
    """`floors[product]`: the revision that was acknowledged last, below which no later answer may be.

    `row(process)`: the counts of one load process, named by COUNTS, and how many answers took how long.
    """

    def __init__(self, path: Path, products: int, processes: int):
        size = NUMBER * (products + 1 + processes * ROW)
        with path.open("a+b") as file:
            file.truncate(max(size, file.seek(0, 2)))  # the first process makes it, all zeros
            self._numbers = memoryview(mmap.mmap(file.fileno(), size)).cast("q")
        self.path, self.products, self.processes = path, products, processes
        self.floors = self._numbers[: products + 1]

    def row(self, process: int) -> memoryview:
        start = self.products + 1 + process * ROW
        return self._numbers[start : start + ROW]

    def sample(self) -> "LoadSample":
        """The sum of all rows, at this moment."""
        sums = [sum(column) for column in zip(*(self.row(process) for process in range(self.processes)), strict=True)]
        return LoadSample._make([time.monotonic(), *sums[: len(COUNTS)], tuple(sums[len(COUNTS) :])])


class LoadSample(NamedTuple):
    """Counts up to a moment; the difference of two is what happened in between."""

    seconds: float
    requests: int
    hits: int
    misses: int
    writes: int
    stale: int
    errors: int
    warm: int
    pages: int
    kept: int
    changed: int
    late: int
    old: int
    times: tuple[int, ...]

    def since(self, before: "LoadSample") -> "LoadSample":
        *then, times = before
        *now, later = self
        differences = [b - a for a, b in zip(then, now, strict=True)]
        return LoadSample._make([*differences, tuple(b - a for a, b in zip(times, later, strict=True))])

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def reads(self) -> int:
        return self.hits + self.misses

    @property
    def hit_ratio(self) -> float:
        """The part of the reads (0 to 1) that were answered without asking the database."""
        return self.hits / self.reads if self.reads else 0.0

    def slowest(self, part: float = 0.01) -> float:
        """Seconds that all but `part` of the answers took at most (on a scale in steps of a quarter)."""
        above = sum(self.times) * part
        for bound, count in zip(reversed(SCALE), reversed(self.times), strict=True):
            above -= count
            if above < 0:
                return bound
        return 0.0
