"""Jobs, as the journal of a fleet tells of them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django_dcache.errors import ConfigurationError

from ..cli.output import Column, age, count
from ..inspection.target import Target
from .database_journal import DatabaseJournal, installed
from .journal import FileJournal, Journal

if TYPE_CHECKING:
    from ..models import Job


def jobs(target: Target) -> list[dict[str, Any]]:
    """The last word of each job, the newest first."""
    last: dict[str, dict[str, Any]] = {}
    for entry in _journal(target).entries():
        last[str(entry.get("job"))] = _item(entry)
    return [*_unbegun(target), *reversed(last.values())]


def events(target: Target, name: str) -> list[dict[str, Any]]:
    """What happened to the one job whose name begins with `name`. Raises ConfigurationError."""
    found = [_item(entry) for entry in _journal(target).entries() if str(entry.get("job")).startswith(name)]
    meant = {item["job"] for item in found}
    if len(meant) != 1:
        raise ConfigurationError(f"there is no job {name!r}" if not meant else f"{name!r} is {len(meant)} jobs")
    return found


def find_job(target: Target, name: str) -> "Job":
    """The one job whose name begins with `name`. Raises ConfigurationError."""
    from ..models import Job

    if target.wanted is None or not installed():
        raise ConfigurationError("there are no jobs to steer: dcache_manager is not installed and migrated here")
    found = list(Job.objects.filter(fleet=target.configuration.fleet, name__startswith=name)[:2])
    if len(found) != 1:
        raise ConfigurationError(f"there is no job {name!r}" if not found else f"{name!r} is several jobs")
    return found[0]


def last_word(job: "Job") -> dict[str, Any]:
    """A job as `jobs` lists it."""
    job.refresh_from_db()
    said = {"job": job.name, "kind": job.kind, "at": job.heard.isoformat(timespec="seconds")}
    return job.progress | said | {"state": job.state}


def _unbegun(target: Target) -> list[dict[str, Any]]:
    """Jobs that wait for a worker: nothing has happened to them yet."""
    if target.wanted is None or not installed():
        return []
    from ..models import Job

    return [last_word(job) for job in Job.objects.filter(fleet=target.configuration.fleet, events=None)]


def _journal(target: Target) -> Journal:
    if target.wanted is not None and installed():
        return DatabaseJournal(target.fleet())
    return FileJournal.of(target.configuration.fleet)


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"at": datetime.fromtimestamp(entry.get("at", 0.0), UTC).isoformat(timespec="seconds")}


_common = [
    Column("at", "AGE", age, right=True),
    Column("event", "EVENT"),
    Column("state", "STATE"),
    Column("phase", "PHASE"),
    Column("epoch", "EPOCH", right=True),
    Column("moved", "MOVED", count, right=True),
    Column("failed", "FAILED", count, right=True),
]
job_columns = [Column("job", "JOB"), *(column for column in _common if column.field != "event"), Column("owner", "BY")]
event_columns = [*_common, Column("doing", "DOING")]
