"""Reads that missed what was there, and writes that failed: while no node is ill, there may be next to none of them.

A register is there when a write of it was acknowledged, or a read found it, and nothing has been done since that may
have taken it away. Judged by half seconds, and only calls of workers that were well themselves: the trouble of one
client must not become that of the others.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

from .ground_truth import FAMILY_SHIFT, Family
from .history import WRITES, Kind, Outcome
from .schedule import Phase

WINDOW_SECONDS = 0.5
MOST_MISSING, MOST_FAILED = 0.01, 0.3
"""The part of the reads of one window that may miss what was there, and of the writes that may fail: where one client
has lost a batch no process stores for a moment, as long as another may read there what was before."""
FEWEST_IN_VAIN, FEWEST_CALLS = 5, 50
"""Fewer failures than this may be of one hot key; a window with fewer calls is of a machine that has no time."""
MEMORY_SECONDS = 60.0
"""A register that was seen longer ago than this may have expired."""


class _Register:
    """When one register was seen to be there, and when it may have been taken away; misses, to be judged later."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        """(ended, began) of each call that proves that it was there."""
        self.taken: list[tuple[float, float]] = []
        """(began, ended) of each call that may have taken it away."""
        self.missed: list[tuple[float, float]] = []
        """(began, ended) of each read that missed it."""

    def missing(self, losses: Sequence[float]) -> Iterator[float]:
        """The moments of the reads that missed it though it was there: seen since the last moment of `losses`, up to
        which a node may have lost it."""
        self.seen.sort()
        self.taken.sort()
        begins = [began for began, _ in self.taken]
        ends = list(accumulate((ended for _, ended in self.taken), max))
        for began, ended in self.missed:
            before = bisect_left(self.seen, (began, 0.0))
            if not before:
                continue
            _, since = self.seen[before - 1]
            until_then, lost = bisect_right(begins, ended), bisect_left(losses, began)
            if lost and since < losses[lost - 1]:
                continue
            if began - since < MEMORY_SECONDS and (not until_then or ends[until_then - 1] < since):
                yield began


class Availability:
    """`add` every record of a history; then `shortfalls()`."""

    def __init__(self, phases: Sequence[Phase], ill: Sequence[tuple[float, float]], grace: float, kept: float = 0.0):
        """`ill`: when nodes were. `grace`: seconds after that, and after an excused phase, in which it may show.
        `kept`: seconds for which processes keep what they have read; a read says what was there so long ago."""
        self._grace, self._kept = grace, kept
        self._registers: defaultdict[int, _Register] = defaultdict(_Register)
        self._reads: Counter[int] = Counter()
        self._writes: Counter[int] = Counter()
        self._failed: Counter[int] = Counter()
        self._starts = array("d", [phase.began for phase in phases])
        self._ill = [set(phase.ill) for phase in phases]
        self._excused = [(phase.began, phase.ended + grace) for phase in phases if phase.excused]
        self._excused += [(began, ended + grace) for began, ended in ill]
        self._losses = sorted(ended - grace for _, ended in self._excused)
        self._origin = phases[0].began if phases else 0.0
        self._end = phases[-1].ended if phases else 0.0
        for number in range(len(phases) - 1, 0, -1):
            # The effects on the workers themselves last a little longer too.
            self._ill[number] |= self._ill[number - 1]

    def add(self, kind: int, outcome: int, writer: int, key: int, version: int, began: float, ended: float) -> None:
        counts = kind in (Kind.READ, *WRITES) and key >> FAMILY_SHIFT == Family.REGISTER
        if not counts or not self._origin <= began < self._end:
            return
        register = self._registers[key]
        if kind == Kind.READ and version:
            register.seen.append((ended, began - self._kept))
        elif kind == Kind.WRITE and outcome == Outcome.OK:
            register.seen.append((ended, began))
        elif kind in WRITES:
            # What may yet happen is made up for within the same time as the effects of a fault.
            register.taken.append((began, ended + (self._grace if outcome == Outcome.UNKNOWN else 0.0)))
        if self._is_ill(writer, began):
            return
        if kind == Kind.READ:
            self._reads[self._window(began)] += 1
            if not version:
                register.missed.append((began, ended))
        elif kind == Kind.WRITE:
            self._writes[self._window(began)] += 1
            self._failed[self._window(began)] += outcome != Outcome.OK

    def shortfalls(self) -> Iterator[tuple[float, str]]:
        """(moment, what happened) for each window in which too many reads missed what was there, or writes failed."""
        missed = chain.from_iterable(register.missing(self._losses) for register in self._registers.values())
        missing = Counter(map(self._window, missed))
        for in_vain, calls, most, what in (
            (missing, self._reads, MOST_MISSING, "reads missed what was there"),
            (self._failed, self._writes, MOST_FAILED, "writes failed"),
        ):
            for window, count in sorted(in_vain.items()):
                moment = self._origin + window * WINDOW_SECONDS
                many = count >= max(FEWEST_IN_VAIN, most * calls[window]) and calls[window] >= FEWEST_CALLS
                if many and not self._is_excused(moment):
                    yield moment, f"{count} of {calls[window]} {what} within half a second, and no node was ill"

    def _window(self, moment: float) -> int:
        return int((moment - self._origin) / WINDOW_SECONDS)

    def _is_ill(self, writer: int, moment: float) -> bool:
        return writer in self._ill[max(0, bisect_right(self._starts, moment) - 1)]

    def _is_excused(self, moment: float) -> bool:
        return any(began < moment + WINDOW_SECONDS and moment < ended for began, ended in self._excused)
