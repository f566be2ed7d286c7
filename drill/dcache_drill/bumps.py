"""Slots that were given up though nothing was broken but the processes themselves: a client that stands still must not
cost the others what the nodes hold."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from django_dcache.model.state import FleetState

from .schedule import Phase

STOPPING = ("worker-frozen", "worker-pauses", "worker-stutters")
"""The faults that only stop processes."""
MOST_BUMPS = 10
"""That one phase of such a fault may bring: on a busy machine a node may seem slow too."""


def bumps(state: FleetState) -> int:
    """How often slots of the present nodes were bumped one by one."""
    found = (state.generations.get(node) for node in state.topology.nodes)
    return sum(value - each.floor for each in found if each for value in each.above.values())


class Bumps:
    """`add` what each process learned, as it did; then `unprovoked()`."""

    def __init__(self) -> None:
        self._moments, self._counts = array("d"), array("Q")

    def add(self, count: int, moment: float) -> None:
        self._moments.append(moment)
        self._counts.append(count)

    def unprovoked(self, phases: Sequence[Phase], ill: Sequence[tuple[float, float]]) -> Iterator[tuple[Phase, int]]:
        """Each phase in which too many slots were bumped while no node and no network was ill, and how many."""
        learned = sorted(zip(self._moments, self._counts, strict=True))
        moments = [moment for moment, _ in learned]
        for phase in phases:
            stops = all(fault.split()[0] in STOPPING for fault in phase.name.split(" + "))
            if not stops or any(began < phase.ended and phase.began < ended for began, ended in ill):
                continue
            first = bisect_left(moments, phase.began)
            known = [count for _, count in learned[max(0, first - 1) : bisect_right(moments, phase.ended)]]
            risen = max(known, default=0) - min(known, default=0)
            if risen > MOST_BUMPS:
                yield phase, risen
