"""What the nodes of a fleet did between two samples, from the counters that `metrics` wrote down."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from .models import NodeSample
from .settings import regions

MAX_MOMENTS = 240
"""How many points a line has at most, however long the time: of more samples some are left out."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one node, in the time between a sample and the one before. None is what can't be told: the node did not
    answer, or started anew."""

    at: datetime
    """Of the later sample."""
    operations: float | None = None
    """A second, as is all else unless it says otherwise."""
    hits: float | None = None
    misses: float | None = None
    evictions: float | None = None
    answer_seconds: float | None = None
    """How long the later look took: connecting, and asking for the statistics."""

    @property
    def hit_ratio(self) -> float | None:
        """From 0 to 1; None where nothing was read."""
        return hit_ratio([self])


def hit_ratio(rates: Iterable[Rate]) -> float | None:
    """Of several nodes together."""
    hits = misses = 0.0
    for rate in rates:
        hits, misses = hits + (rate.hits or 0.0), misses + (rate.misses or 0.0)
    return hits / (hits + misses) if hits + misses else None


def rates(fleet: str, since: datetime) -> dict[str, list[Rate]]:
    """By node, the oldest first. Asks the database twice, for MAX_MOMENTS samples of each node at most."""
    found: dict[str, list[NodeSample]] = defaultdict(list)
    known = regions()
    of_fleet = NodeSample.objects.filter(fleet=fleet)
    # All nodes that were looked at together have the same moment.
    moments = list(of_fleet.filter(at__gte=since).order_by("at").values_list("at", flat=True).distinct())
    kept = moments[:: -(-len(moments) // MAX_MOMENTS) or 1]
    for sample in of_fleet.filter(at__in=[*kept, *moments[-1:]]).order_by("at"):
        if known is None or sample.facts.get("region", known.here) == known.here:
            found[sample.node].append(sample)
    return {node: [between(*pair) for pair in pairwise(samples)] for node, samples in found.items()}


def between(before: NodeSample, after: NodeSample) -> Rate:
    """What a node did from one sample to the next."""
    seconds = (after.at - before.at).total_seconds()
    answer_seconds = after.facts.get("answer_seconds")
    operations, hits, misses, evictions = (
        _grown(before.facts.get(name), after.facts.get(name)) for name in ("operations", "hits", "misses", "evictions")
    )
    if operations is None or hits is None or misses is None or evictions is None or seconds <= 0:
        return Rate(after.at, answer_seconds=answer_seconds)
    return Rate(after.at, operations / seconds, hits / seconds, misses / seconds, evictions / seconds, answer_seconds)


def _grown(before: object, after: object) -> int | None:
    """A counter that fell is one that began anew: how far it had come in between is not known."""
    if isinstance(before, int) and isinstance(after, int) and before <= after:
        return after - before
    return None
