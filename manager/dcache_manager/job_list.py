"""Jobs, as the journal of a fleet tells of them."""

from datetime import UTC, datetime
from typing import Any

from django_dcache.errors import ConfigurationError

from .database_journal import DatabaseJournal, installed
from .journal import FileJournal, Journal
from .render import Column, age, count
from .target import Target


def jobs(target: Target) -> list[dict[str, Any]]:
    """The last word of each job, the newest first."""
    last: dict[str, dict[str, Any]] = {}
    for entry in _journal(target).entries():
        last[str(entry.get("job"))] = _item(entry)
    return list(reversed(last.values()))


def events(target: Target, name: str) -> list[dict[str, Any]]:
    """What happened to the one job whose name begins with `name`. Raises ConfigurationError."""
    found = [_item(entry) for entry in _journal(target).entries() if str(entry.get("job")).startswith(name)]
    meant = {item["job"] for item in found}
    if len(meant) != 1:
        raise ConfigurationError(f"there is no job {name!r}" if not meant else f"{name!r} is {len(meant)} jobs")
    return found


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
