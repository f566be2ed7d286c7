"""Counters may be lost and begin a new, higher life; they may not run backwards, or count what nobody did."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from .staleness import Acknowledged

LIFE = 32
_half = 1 << LIFE - 1


class Counts:
    """Every number that was handed out, gathered first. Odd counters count down; here all of them count up."""

    def __init__(self) -> None:
        self._acknowledged: defaultdict[int, Acknowledged] = defaultdict(Acknowledged)
        self._handed_out: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._unanswered: Counter[int] = Counter()
        self._furthest: Counter[tuple[int, int]] = Counter()

    def add(self, key: int, number: int, ended: float, sure: bool = True) -> None:
        """`number` as it was handed out, 0 if the call failed. Not `sure`: others need not have heard of it."""
        if not number:
            self._unanswered[key] += 1
            return
        life, up = _split(key, number)
        if sure:
            self._acknowledged[key].add(ended, life + up)
        self._handed_out[key, life] += 1
        self._furthest[key, life] = max(self._furthest[key, life], up)

    def settle(self) -> None:
        for acknowledged in self._acknowledged.values():
            acknowledged.settle()

    def lag(self, key: int, number: int, at: float, counted: bool) -> float:
        """Seconds since the counter had been further than `number`; with `counted`, as far already."""
        if key not in self._acknowledged:
            return 0.0
        life, up = _split(key, number)
        return self._acknowledged[key].lag(life + up - (0.5 if counted else 0.0), at)

    def excess(self, spare: int) -> Iterator[tuple[int, str]]:
        """Counters that went further than they were counted. `spare`: calls that may have left no record."""
        for (key, life), furthest in self._furthest.items():
            most = self._handed_out[key, life] + self._unanswered[key] + spare
            if furthest > most:
                yield key, f"counted to {furthest} by {most} calls at most"


def _split(key: int, number: int) -> tuple[int, int]:
    """(where the counter's life begins, how far it has come in it): together they only grow."""
    life = number >> LIFE
    up = (number & (1 << LIFE) - 1) - _half
    return life << LIFE, -up if key & 1 else up
