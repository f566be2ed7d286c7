"""Jobs, as the journal of a fleet tells of them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, NotPossible
from .journal import entries, installed
from .owner import dead_here

if TYPE_CHECKING:
    from ..models import Job


def jobs(fleet: str) -> list[dict[str, Any]]:
    """The last event of each job of the fleet of this name, the newest first."""
    last: dict[str, dict[str, Any]] = {}
    for entry in entries(fleet):
        last[str(entry.get("job"))] = _item(entry)
    return [*_waiting(fleet), *map(_ended, reversed(last.values()))]


def unfinished(fleet: str) -> list[dict[str, Any]]:
    """The jobs of the fleet of this name that are not over, as they were last heard of."""
    over = ("done", "cancelled", "interrupted", "failed", "partial")
    if not installed():
        return [job for job in jobs(fleet) if job["state"] not in over]
    from ..models import Job  # Late: a project without dcache_manager can't import it.

    return [last_word(job) for job in Job.objects.filter(fleet=fleet).exclude(state__in=over)]


def latest(fleet: str, most: int) -> list[dict[str, Any]]:
    """The newest jobs of the fleet of this name in the project's database."""
    from ..models import Job  # Late, as above.

    return [_ended(_said(job)) for job in Job.objects.filter(fleet=fleet)[:most]]


def events(fleet: str, name: str) -> list[dict[str, Any]]:
    """What happened to the one job whose name begins with `name`. Raises ConfigurationError."""
    found = [_item(entry) for entry in entries(fleet) if str(entry.get("job")).startswith(name)]
    _only(name, {item["job"] for item in found})
    return found


def find_job(fleet: str, name: str) -> "Job":
    """The one job whose name begins with `name`. Raises ConfigurationError."""
    if not installed():
        raise NotPossible(
            "only jobs in the project's database can be steered: add dcache_manager to INSTALLED_APPS, and run migrate"
        )
    from ..models import Job  # Late: a project without dcache_manager can't import it.

    found: list[Job] = list(Job.objects.filter(fleet=fleet, name__startswith=name)[:2])
    _only(name, {job.name for job in found})
    return found[0]


def last_word(job: "Job") -> dict[str, Any]:
    """A job as `jobs` lists it."""
    job.refresh_from_db()
    return _said(job)


def _said(job: "Job") -> dict[str, Any]:
    said = {"job": job.name, "kind": job.kind, "at": job.heard.isoformat(timespec="seconds")}
    if job.kind == "warm":
        said["what"] = f"warmer {job.terms.get('warmer')}"
    return {**job.progress, **said, "state": job.state}


def _only(name: str, found: set[str]) -> None:
    if not found:
        raise NotFound(f"no job {name!r}; `jobs list` shows the last ones")
    if len(found) > 1:
        raise NotFound(f"{name!r} is the beginning of several jobs' names; give more of it")


def _waiting(fleet: str) -> list[dict[str, Any]]:
    """Jobs that wait for a worker: nothing has happened to them yet."""
    if not installed():
        return []
    from ..models import Job  # Late, as above.

    return [last_word(job) for job in Job.objects.filter(fleet=fleet, events=None)]


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    return (
        {"kind": "rebalance"}
        | entry
        | {"at": datetime.fromtimestamp(entry.get("at", 0.0), UTC).isoformat(timespec="seconds")}
    )


def _ended(item: dict[str, Any]) -> dict[str, Any]:
    """A job whose process was killed could not say so."""
    runs = item.get("state") in ("running", "paused", "waiting", "cancelling")
    return item | {"state": "interrupted"} if runs and dead_here(str(item.get("owner", ""))) else item
