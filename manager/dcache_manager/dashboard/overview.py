"""The first page of a fleet: its ring, its nodes, and what to do next, from one look at it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.timezone import now

from .. import metrics
from ..errors import NothingReachable
from ..formatting import age, count, share, size
from ..inspection.fleet_report import FleetReport, look_closely
from ..inspection.next_steps import next_step, next_steps
from ..inspection.target import Target
from ..rates import Rate, rates
from . import trends
from .resize import under_way
from .ring_picture import ring_picture

LOOK_SECONDS = 2.0
"""How long a page waits for nodes that do not answer, whatever it shows of them."""
REFRESH_SECONDS, LONG_REFRESH_SECONDS = 5, 60
LONG = timedelta(hours=1)
"""Charts of a longer time are read from many rows, and change slowly."""
COLOURS = 8
"""Of nodes; the ninth node has that of the first again."""
WELL = ("up", "joining", "leaving")


def page(request: HttpRequest, target: Target) -> dict[str, Any]:
    try:
        seen = look_closely(target, LOOK_SECONDS)
    except NothingReachable as error:
        return {"unreachable": str(error)} | _trends(request, rates_of(request, target))
    metrics.note(target, seen)
    found = rates_of(request, target)
    # In the order of the table, so that a node has one colour everywhere.
    found = {name: found.get(name, []) for name in dict.fromkeys([*seen.topology.nodes, *found])}
    return shown(seen, found) | _trends(request, found) | {"resize": under_way(request, target, seen)}


def rates_of(request: HttpRequest, target: Target) -> dict[str, list[Rate]]:
    return rates(target.name, now() - _window(request))


def _window(request: HttpRequest) -> timedelta:
    return trends.WINDOWS.get(request.GET.get("window", ""), LONG)


def _trends(request: HttpRequest, found: Mapping[str, Sequence[Rate]]) -> dict[str, Any]:
    window = _window(request)
    begin = trends.beginning(found, window)
    windows = [(name, span == window) for name, span in trends.WINDOWS.items()]
    every = REFRESH_SECONDS if window <= LONG else LONG_REFRESH_SECONDS
    return {"charts": trends.charts(found, begin), "begin": begin, "windows": windows, "every": every}


def shown(seen: FleetReport, found: Mapping[str, Sequence[Rate]]) -> dict[str, Any]:
    """What the template shows of a look at the fleet, and of what its nodes did lately."""
    topology, rows = seen.topology, seen.rows()
    nodes = [_node(seen, number, row, found.get(row["name"], [])) for number, row in enumerate(rows)]
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


def _node(seen: FleetReport, number: int, row: dict[str, Any], found: Sequence[Rate]) -> dict[str, Any]:
    lately = found[-1] if found and row["state"] in WELL else None
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
        "items": _said(row["items"], count),
        "memory": _said(row["bytes"], size),
        "limit": size(row["limit_bytes"]) if row["limit_bytes"] else "",
        "used": used,
        "load": _said(lately.operations if lately else None, trends.per_second),
        "hits": _said(lately.hit_ratio if lately else None, share),
        "evictions": _said(lately.evictions if lately else None, trends.per_second),
        "connections": _said(row["connections"], count),
        "version": row["version"] or "",
        "next": next_step(seen, seen.topology.nodes[row["name"]]),
    }


def _said(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)
