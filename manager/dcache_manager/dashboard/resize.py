"""A resize that is under way: how far it is, and what can be done about it now."""

from typing import Any

from django.http import HttpRequest

from django_dcache.model.topology import Phase

from ..formatting import count, printable, share, span
from ..inspection.fleet_report import FleetReport
from ..inspection.target import Target
from ..rebalance import service

LABELS = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel and go back"}
CAN = {
    "waiting": ("cancel",),
    "running": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
    "interrupted": ("resume", "cancel"),
    "cancelling": (),
}
"""By the state of a resize; it is over in any other."""


def allowed(request: HttpRequest, verb: str) -> bool:
    return bool(request.user.has_perm(f"dcache_manager.{verb}_job"))


def under_way(request: HttpRequest, target: Target, seen: FleetReport) -> dict[str, Any] | None:
    """What the template shows of it; None if there is none. `seen`: as `look_closely` makes it."""
    status = service.status(target, seen)
    if status.state not in CAN:
        return None
    progress, phases = status.progress, list(Phase)
    shown: dict[str, Any] = {
        "state": status.state,
        "conductor": printable(status.conductor or ""),
        "steps": [(phase, phase == status.topology.phase) for phase in (*phases[1:], phases[0])],
        "buttons": [(verb, LABELS[verb]) for verb in CAN[status.state] if allowed(request, verb)],
    }
    if progress:
        done = min(progress.done / progress.listed, 1.0) if progress.listed else None
        shown |= {
            "doing": printable(progress.doing),
            "done": done,
            "share": "" if done is None else share(done),
            "moved": count(progress.moved),
            "failed": count(progress.failed),
            "rate": count(progress.rate),
            "eta": "" if progress.eta is None else span(progress.eta),
            "notes": [printable(note) for note in progress.notes],
        }
    return shown
