"""One key, and a sample of the hot and the large ones. Keys are text, whatever is in them; values are never read."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from django_dcache.errors import DCacheError
from django_dcache.model.ring import SPACE

from ..formatting import count, printable, share, size, span
from ..inspection.activity import Activity, shown
from ..inspection.fleet_report import FleetReport, limits, look
from ..inspection.hot_reads import watch
from ..inspection.key_copies import KeyReport, key_report
from ..inspection.key_sizes import measure
from ..inspection.target import Target
from .overview import LOOK_SECONDS

SAMPLE_SECONDS = 1.0
"""How long reads are watched, and then how long keys are listed."""
SHOWN = 20


def page(request: HttpRequest, target: Target) -> dict[str, Any]:
    key = request.GET.get("key", "")
    context: dict[str, Any] = {"key": key}
    try:
        if key:
            context["report"] = _report(target, key_report(target, target.make_key(key)))
        if "sample" in request.GET:
            context |= _sample(target, look(target, LOOK_SECONDS))
    except DCacheError as error:
        context["problem"] = printable(str(error))
    return context


def _report(target: Target, found: KeyReport) -> dict[str, Any]:
    copies = [
        {
            "node": copy.node,
            "state": copy.state,
            "ttl": "" if copy.size is None else "never expires" if copy.ttl is None else span(copy.ttl),
            "size": "" if copy.size is None else size(copy.size),
            "flags": "" if copy.flags is None else f"{copy.flags:#x}",
        }
        for copy in found.copies
    ]
    made_key = printable(target.configuration.shown(found.made_key))
    where = {"slot": found.slot, "point": share(found.point / SPACE), "epoch": found.epoch}
    return {"made_key": made_key, "copies": copies} | where


def _sample(target: Target, seen: FleetReport) -> dict[str, Any]:
    """Only nodes that just answered are asked: one that is away has cost its time already."""
    nodes = [node for node in seen.topology.nodes.values() if not node.out and not seen.of(node).failure]
    reach = limits(target.configuration)
    reads, sizes = watch(nodes, reach, SAMPLE_SECONDS), measure(nodes, reach, SAMPLE_SECONDS)
    activity = Activity(seen, seen, SAMPLE_SECONDS, reads)
    largest = sorted(
        ((length, node, name) for node, found in sizes.items() for length, name in found.largest), reverse=True
    )
    complaints = {
        **activity.complaints(),
        **{node: found.complaint for node, found in sizes.items() if found.complaint},
    }
    return {
        "hot": [
            item | {"key": printable(item["key"]), "rate": count(item["rate"]), "share": share(item["share"])}
            for item in activity.hot_keys(SHOWN)
        ],
        "large": [
            {"size": size(length), "node": node, "key": printable(shown(target.configuration, name))}
            for length, node, name in largest[:SHOWN]
        ],
        "seconds": f"{SAMPLE_SECONDS:g}",
        "watched": count(sum(found.reads for found in reads.values())),
        "listed": count(sum(found.listed for found in sizes.values())),
        "complaints": _sentences(complaints.items()),
    }


def _sentences(complaints: Iterable[tuple[str, str]]) -> list[str]:
    return [printable(f"{node}: {complaint}") for node, complaint in complaints]
