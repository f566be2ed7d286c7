"""How far what was read lags what was acknowledged.

A version is outdated once a write has been acknowledged that began after the version's own write had ended: of two
writes at the same time either may have come first. Versions of rows are ordered by their commit instead. A write of
which nothing is known may happen at any time, so what it wrote is never outdated.
"""

from array import array
from bisect import bisect_right
from collections import defaultdict

from .ground_truth import FAMILY_SHIFT, Family
from .history import Outcome


class Acknowledged:
    """Acknowledged writes of one key by the time they ended, each with its place in the order of the key's writes."""

    __slots__ = ("_ended", "_order")

    def __init__(self) -> None:
        self._ended, self._order = array("d"), array("d")

    def add(self, ended: float, order: float) -> None:
        self._ended.append(ended)
        self._order.append(order)

    def settle(self) -> None:
        """All are added: keep those that are later in the order than every one that ended before them."""
        ended, order, highest = array("d"), array("d"), float("-inf")
        for when, place in sorted(zip(self._ended, self._order, strict=True)):
            if place > highest:
                highest = place
                ended.append(when)
                order.append(place)
        self._ended, self._order = ended, order

    def lag(self, horizon: float, at: float) -> float:
        """Seconds before `at` since when something later than `horizon` had been acknowledged; 0 if nothing was."""
        first = bisect_right(self._order, horizon)
        return max(0.0, at - self._ended[first]) if first < len(self._ended) else 0.0


class Writes:
    """Every write of a history but the counts, gathered first; then `lag` of any read of it.

    `timeout`: what a node has to answer a write. One that took as long may have been lost, and be executed later.
    """

    def __init__(self, timeout: float = float("inf")) -> None:
        self._timeout = timeout
        self._overdue: dict[tuple[int, int], int] = {}
        """The writers of those, by key and version."""
        self._acknowledged: defaultdict[int, Acknowledged] = defaultdict(Acknowledged)
        self._own: defaultdict[tuple[int, int], Acknowledged] = defaultdict(Acknowledged)
        """By writer and key."""
        self._ended: defaultdict[int, dict[int, float]] = defaultdict(dict)

    def add(self, outcome: int, writer: int, key: int, version: int, began: float, ended: float) -> None:
        row = _is_row(key)
        if outcome == Outcome.OK:
            for acknowledged in (self._acknowledged[key], self._own[writer, key]):
                acknowledged.add(ended, version if row else began)
        if not row and outcome in (Outcome.OK, Outcome.FAIL):
            self._ended[key][version] = ended
            if ended - began >= self._timeout:
                self._overdue[key, version] = writer

    def settle(self) -> None:
        for acknowledged in (*self._acknowledged.values(), *self._own.values()):
            acknowledged.settle()

    def lag(self, key: int, version: int, at: float) -> float:
        """Seconds by which `version`, read by a call that began at `at`, had been outdated."""
        return self._lag(self._acknowledged.get(key), key, version, at)

    def own_lag(self, writer: int, key: int, version: int, at: float) -> float:
        """The same, by what the reader itself had written. What another writer lost may be executed afterwards, and be
        read until the reader learns that it is out of reach: as long as all reads may lag."""
        if self._overdue.get((key, version), writer) != writer:
            return 0.0
        return self._lag(self._own.get((writer, key)), key, version, at)

    def _lag(self, acknowledged: Acknowledged | None, key: int, version: int, at: float) -> float:
        if acknowledged is None:
            return 0.0
        return acknowledged.lag(version if _is_row(key) else self._ended[key].get(version, float("inf")), at)


def _is_row(key: int) -> bool:
    return key >> FAMILY_SHIFT in (Family.ROW, Family.TAGGED)


class Calm:
    """When nothing could be stale at all: no process took over another fleet state within `hold` seconds."""

    def __init__(self, learned: list[float], hold: float):
        self._edges = array("d")
        for moment in sorted(learned):
            if self._edges and moment - hold <= self._edges[-1]:
                self._edges[-1] = moment + hold
            else:
                self._edges.extend((moment - hold, moment + hold))

    def __contains__(self, moment: float) -> bool:
        return bisect_right(self._edges, moment) % 2 == 0
