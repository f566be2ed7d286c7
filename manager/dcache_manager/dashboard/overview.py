"""The first page of a fleet: its ring, its nodes, and what to do next, from one look at it."""

from typing import Any

from django.http import HttpRequest

from ..errors import NothingReachable
from ..formatting import age, count, share, size
from ..inspection.fleet_report import FleetReport, look_closely
from ..inspection.next_steps import next_step, next_steps
from ..inspection.target import Target
from .ring_picture import ring_picture

LOOK_SECONDS = 2.0
"""How long a page waits for nodes that do not answer, whatever it shows of them."""
COLOURS = 8
"""Of nodes; the ninth node has that of the first again."""
WELL = ("up", "joining", "leaving")


def page(request: HttpRequest, target: Target) -> dict[str, Any]:
    try:
        return shown(look_closely(target, LOOK_SECONDS))
    except NothingReachable as error:
        return {"unreachable": str(error)}


def shown(seen: FleetReport) -> dict[str, Any]:
    """What the template shows of a look at the fleet."""
    topology, rows = seen.topology, seen.rows()
    nodes = [_node(seen, number, row) for number, row in enumerate(rows)]
    colours = {node["name"]: node for node in nodes}
    return {
        "epoch": topology.epoch,
        "phase": topology.phase,
        "planted": seen.planted,
        "replicas": seen.serving.replicas,
        "up": sum(row["state"] in WELL for row in rows),
        "nodes": nodes,
        "rings": [
            [{"path": arcs.path, "share": share(arcs.share), **colours[arcs.node]} for arcs in ring_picture(layout)]
            for layout in topology.layouts
        ],
        "steps": next_steps(seen),
        "errors": seen.errors(),
    }


def _node(seen: FleetReport, number: int, row: dict[str, Any]) -> dict[str, Any]:
    used = row["bytes"] / row["limit_bytes"] if row["bytes"] is not None and row["limit_bytes"] else None
    return {
        "name": row["name"],
        "address": "" if row["address"] == row["name"] else row["address"],
        "zone": row["zone"],
        "colour": number % COLOURS,
        "state": row["state"],
        "well": row["state"] in WELL,
        "since": age(row["since"]) if row["since"] else "",
        "owns": share(row["owns"]),
        "owned": row["owns"],
        "items": "" if row["items"] is None else count(row["items"]),
        "memory": "" if row["bytes"] is None else size(row["bytes"]),
        "limit": size(row["limit_bytes"]) if row["limit_bytes"] else "",
        "used": used,
        "hits": "" if row["hit_ratio"] is None else share(row["hit_ratio"]),
        "evictions": "" if row["evictions"] is None else count(row["evictions"]),
        "connections": "" if row["connections"] is None else count(row["connections"]),
        "version": row["version"] or "",
        "next": next_step(seen, seen.topology.nodes[row["name"]]),
    }
