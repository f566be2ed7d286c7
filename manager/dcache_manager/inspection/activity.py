"""What a fleet does at this moment: each node's rates between two looks, and the keys that are asked for most."""

import time
from dataclasses import dataclass
from typing import Any

from django_dcache.conf import Configuration
from django_dcache.engines.inspection import NodeReply

from .fleet_report import FleetReport, limits, look
from .hot_reads import NodeReads, watch
from .target import Target

LONG_KEY = "(a long key, by its digest) "


@dataclass(frozen=True, slots=True)
class Activity:
    """Between two looks at a fleet."""

    before: FleetReport
    after: FleetReport
    seconds: float
    """Between the two."""
    reads: dict[str, NodeReads]
    """What was logged in between, by node."""

    def rows(self) -> list[dict[str, Any]]:
        """One object a node: its rates a second, and its hit ratio in this time. None is what can't be told."""
        rows = self.after.rows()
        for row, node in zip(rows, self.after.topology.nodes.values(), strict=True):
            earlier = self.before.reports.get(node.address)
            now, then = self.after.of(node).reply, earlier.reply if earlier else NodeReply()
            operations, hits, misses, evictions = (
                _grown(getattr(then, name), getattr(now, name))
                for name in ("operations", "hits", "misses", "evictions")
            )
            reads = None if hits is None or misses is None else hits + misses
            row["operations_rate"] = self._rate(operations)
            row["reads_rate"] = self._rate(reads)
            row["evictions_rate"] = self._rate(evictions)
            row["hit_ratio"] = round((hits or 0) / reads, 6) if reads else None
        return rows

    def hot_keys(self, most: int) -> list[dict[str, Any]]:
        """The keys that were asked for most on each node, `most` of them in all; by made key, or a mark of it."""
        found = [
            (times / reads.seconds, times / reads.reads, node, name)
            for node, reads in self.reads.items()
            for name, times in reads.keys.most_common(most)
        ]
        found.sort(key=lambda key: (-key[0], key[3]))
        return [
            {
                "key": shown(self.after.configuration, name),
                "node": node,
                "rate": round(rate, 1),
                "share": round(share, 4),
            }
            for rate, share, node, name in found[:most]
        ]

    def complaints(self) -> dict[str, str]:
        """Why a node did not say what it was asked for."""
        return {name: reads.complaint for name, reads in self.reads.items() if reads.complaint}

    def _rate(self, count: int | None) -> float | None:
        return None if count is None else round(count / self.seconds, 1)


def observe(target: Target, seconds: float, look_seconds: float, hot: bool) -> Activity:
    """What the fleet does within `seconds`. `hot`: watch which keys are read, which costs the nodes a little.

    Raises NothingReachable.
    """
    before, began = look(target, look_seconds), time.monotonic()
    nodes = [node for node in before.topology.nodes.values() if not node.out and not before.of(node).failure]
    reads = watch(nodes, limits(target.configuration), seconds) if hot else {}
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    after = look(target, look_seconds)
    return Activity(before, after, time.monotonic() - began, reads)


def _grown(before: int | None, after: int | None) -> int | None:
    """How far a counter has come; None if that is not known, or the node began anew."""
    return after - before if before is not None and after is not None and after >= before else None


def shown(configuration: Configuration, name: bytes) -> str:
    """A name that a node lists or logs, as it may be shown: the made key, or a mark of it."""
    if name.startswith(b"\xff"):
        return LONG_KEY + name[:18].decode("latin-1")[2:]
    return configuration.shown(name.decode(errors="backslashreplace"))
