"""What works on a fleet, what did, and what a resize would do: the page from which it is started and steered."""

from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from django_dcache.errors import DCacheError

from ..errors import NothingReachable
from ..formatting import age, count, share
from ..inspection.fleet_report import FleetReport, look_closely
from ..inspection.target import Target
from ..jobs import history
from ..models import Fleet
from ..rebalance import service
from ..rebalance.estimate import estimate, lost, pending
from .overview import LOOK_SECONDS
from .plan_form import PlanForm
from .resize import CAN, allowed, under_way

SHOWN = 30
"""Jobs, and acts of operators: the last ones."""
AGAIN = ("failed", "cancelled", "partial")
"""The states of a job that can be done again."""


def page(request: HttpRequest, target: Target) -> dict[str, Any]:
    jobs = [_job(request, item) for item in history.latest(target.name, SHOWN)]
    context: dict[str, Any] = {"jobs": jobs, "acts": acts(target)}
    try:
        seen = look_closely(target, LOOK_SECONDS)
    except NothingReachable as error:
        return context | {"unreachable": str(error)}
    context |= {"epoch": seen.topology.epoch, "resize": under_way(request, target, seen)}
    return context | (_form(request, target, seen) if allowed(request, "start") else {})


def _form(request: HttpRequest, target: Target, seen: FleetReport) -> dict[str, Any]:
    """The form, and what it asks for, if it was sent."""
    nodes = [node.name for node in seen.topology.layouts[-1].nodes]
    if "plan" not in request.GET:
        return {"form": PlanForm(nodes)}
    form = PlanForm(nodes, request.GET)
    planned = _planned(target, seen, form) if form.is_valid() else {}
    return {"form": form, "again": PlanForm(nodes, request.GET, auto_id=False)} | planned


def acts(target: Target) -> list[LogEntry]:
    """What operators did from these pages, the newest first."""
    about = ContentType.objects.get_for_model(Fleet)
    found = LogEntry.objects.filter(content_type=about, object_id=target.alias).select_related("user")
    return list(found.order_by("-action_time")[:SHOWN])


def _planned(target: Target, seen: FleetReport, form: PlanForm) -> dict[str, Any]:
    remarks: list[str] = []
    try:
        made = service.plan(target, form.change, seen, remarks.append)
    except DCacheError as error:
        return {"problem": str(error)}
    nodes = [
        {
            "name": entry["name"],
            "before": share(entry["owns_before"]),
            "after": share(entry["owns_after"]),
            "change": f"{entry['owns_after'] - entry['owns_before']:+.1%}",
        }
        for entry in made.per_node
    ]
    return {
        "plan": {
            "changes": made.changes,
            "nodes": nodes,
            "estimate": str(estimate(seen, made, form.cleaned_data["max_rate"])),
            "warnings": [*pending(seen), *lost(seen, made), *remarks],
            "empty": made.empty and seen.topology.target is None,
            "epoch": made.epoch,
        }
    }


def _job(request: HttpRequest, item: dict[str, Any]) -> dict[str, Any]:
    state, warms = item["state"], item["kind"] == "warm"
    listed = item.get("listed") or 0
    verbs = {"cancel": warms and state in ("running", "waiting"), "retry": state in AGAIN}
    return {
        "name": item["job"],
        "what": item.get("what") or item["kind"],
        "state": state,
        "phase": "" if warms else item.get("phase", ""),
        "done": min(item.get("done", 0) / listed, 1.0) if listed and state in CAN else None,
        "moved": count(item.get("moved", item.get("loaded", 0))),
        "failed": count(item.get("failed", 0)),
        "began": datetime.fromtimestamp(item["started"]).astimezone() if item.get("started") else None,
        "age": age(item["at"]),
        "doing": item.get("doing", ""),
        "buttons": [(verb, verb.capitalize()) for verb, can in verbs.items() if can and allowed(request, verb)],
    }
