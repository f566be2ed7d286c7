"""How much a resize will move, how long that takes, and whether it fits: from what the nodes say now."""

from dataclasses import asdict, dataclass
from typing import Any

from ..formatting import count, size, span
from ..inspection.fleet_report import FleetReport
from .plan import Plan

KEYS_PER_SECOND = 20_000
"""That one conductor moves, in both passes over the keys."""
FULL_RATIO = 0.9
"""The part of its memory above which a node is said to have no room: what is moving lies on two nodes for a while."""


@dataclass(frozen=True, slots=True)
class Estimate:
    share: float
    """The part of all copies that moves, from 0 to 1."""
    keys: int | None
    """Copies that move; None if the nodes do not say what they hold. So are the next two."""
    bytes: int | None
    seconds: float | None
    full: tuple[str, ...]
    """Nodes that will be above FULL_RATIO of their memory, and evict."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.share:.1%} of all copies move"
        if self.keys is not None and self.bytes is not None and self.seconds is not None:
            text += f": about {count(self.keys)} ({size(self.bytes)}), {span(self.seconds)} or more"
        if self.full:
            text += f"; no room on {', '.join(self.full)}: nodes will evict"
        return text


def estimate(seen: FleetReport, made: Plan, max_rate: float | None = None) -> Estimate:
    """For a plan; `max_rate`: keys a second."""
    share, rows = made.moved_share, {row["name"]: row for row in seen.rows()}
    held = [row for row in rows.values() if row["items"] is not None and row["bytes"] is not None]
    if not held:
        return Estimate(share, None, None, None, ())
    growth = made.desired.replicas / made.current.replicas
    items, used = (growth * sum(row[field] for row in held) for field in ("items", "bytes"))
    keys = round(items * share)
    seconds = 2 * keys / min(max_rate or KEYS_PER_SECOND, KEYS_PER_SECOND) + 4 * seen.hold_seconds
    known = [row["limit_bytes"] for row in held if row["limit_bytes"]]
    owned = {entry["name"]: entry["owns_after"] for entry in made.per_node}
    full = []
    for node in made.desired.nodes:
        limit = (rows.get(node.name) or {}).get("limit_bytes") or min(known, default=None)  # A newcomer, as the others.
        if limit and used * owned.get(node.name, 0.0) > FULL_RATIO * limit:
            full.append(node.name)
    return Estimate(share, keys, round(used * share), seconds, tuple(full))


def pending(seen: FleetReport) -> list[str]:
    """What was begun, and comes first."""
    return [f"a resize is under way ({seen.topology.phase}) and is finished first"] if seen.topology.target else []


def lost(seen: FleetReport, made: Plan) -> list[str]:
    """What can't be moved."""
    leaving = [node for node in seen.topology.nodes.values() if made.desired.node(node.name) is None]
    silent = [node.name for node in leaving if seen.standing(node) == "down"]
    moved = [node.name for node in seen.topology.moved(made.desired)]
    return [f"{name} does not answer: what only it holds is lost" for name in silent] + [
        f"{name} gets another address: what only the old one holds is lost" for name in moved
    ]
