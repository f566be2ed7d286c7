"""Counters may be lost and begin a new, higher life; no number is handed out twice, or after a higher one."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from .staleness import Acknowledged

LIFE_BITS = 32
_half = 1 << LIFE_BITS - 1


class Counters:
    """Every number that was handed out, gathered first. Odd counters count down; here all of them count up."""

    def __init__(self) -> None:
        self._acknowledged: defaultdict[int, Acknowledged] = defaultdict(Acknowledged)
        """What every caller must have heard of."""
        self._handed_out: defaultdict[int, Acknowledged] = defaultdict(Acknowledged)
        """What any caller was given, whether its process could prove anything or not."""
        self._seen: set[tuple[int, int]] = set()
        self._calls: Counter[tuple[int, int]] = Counter()
        self._unanswered: Counter[int] = Counter()
        self._furthest: Counter[tuple[int, int]] = Counter()

    def add(self, key: int, number: int, ended: float, sure: bool = True) -> None:
        """`number` as it was handed out, 0 if the call failed. Not `sure`: other processes need not know of it."""
        if not number:
            self._unanswered[key] += 1
            return
        life, up = _split(key, number)
        if sure:
            self._acknowledged[key].add(ended, life + up)
        self._handed_out[key].add(ended, life + up)
        self._calls[key, life] += 1
        self._furthest[key, life] = max(self._furthest[key, life], up)

    def settle(self) -> None:
        """All are added."""
        for acknowledged in (*self._acknowledged.values(), *self._handed_out.values()):
            acknowledged.settle()

    def lag(self, key: int, number: int, at: float) -> float:
        """Seconds since when the counter had been further than `number`, which was read by a call that began `at`."""
        if key not in self._acknowledged:
            return 0.0
        return self._acknowledged[key].lag(sum(_split(key, number)), at)

    def behind(self, key: int, number: int, at: float) -> float:
        """Seconds since when a number beyond `number` had been handed out, when a call that began `at` was given it."""
        return self._handed_out[key].lag(sum(_split(key, number)), at)

    def again(self, key: int, number: int) -> bool:
        """Whether `number`, which is asked about once for each time it was handed out, had been handed out before."""
        place = key, sum(_split(key, number))
        again = place in self._seen
        self._seen.add(place)
        return again

    def excess(self, spare: int) -> Iterator[tuple[int, str]]:
        """Counters that went further than they were counted. `spare`: calls that may have left no record."""
        for (key, life), furthest in self._furthest.items():
            most = self._calls[key, life] + self._unanswered[key] + spare
            if furthest > most:
                yield key, f"counted to {furthest} by {most} calls at most"


def _split(key: int, number: int) -> tuple[int, int]:
    """(where the counter's life begins, how far it has come in it): their sum only grows."""
    life = number >> LIFE_BITS
    up = (number & (1 << LIFE_BITS) - 1) - _half
    return life << LIFE_BITS, -up if key & 1 else up
