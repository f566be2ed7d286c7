"""A record of resizes, in the site's database or in a file. What has to be known to resume one is in the fleet state;
the journal tells people what happened.

The models are imported where they are used: a project without dcache_manager in INSTALLED_APPS can't import them.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, close_old_connections, connections, router, transaction
from django.utils import timezone

from django_dcache.runtime.fleet import Fleet

from .progress import Progress
from .state_folder import state_folder


class Journal(Protocol):
    """Where events of a job are kept."""

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        """Append an event with the job's counts at this moment. A journal that fails never stops a resize."""


def journal(fleet: Fleet) -> Journal:
    """The journal of `fleet`: in the database if its tables are there, else in a file on this machine."""
    return DatabaseJournal(fleet) if installed() else FileJournal.of(fleet.configuration.fleet)


def entries(fleet: str) -> Iterator[dict[str, Any]]:
    """What the journal of the fleet of this name holds, oldest first."""
    return database_entries(fleet) if installed() else FileJournal.of(fleet).entries()


def installed() -> bool:
    """Whether dcache_manager is an app of this project, and migrated."""
    if not apps.ready or not apps.is_installed("dcache_manager"):
        return False
    from ..models import Job  # Late: see above.

    try:
        return Job._meta.db_table in connections[router.db_for_read(Job)].introspection.table_names()
    except (DatabaseError, ImproperlyConfigured):
        return False


class NoJournal:
    """For a resize that keeps no history."""

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        pass


class FileJournal:
    """One JSON object a line. A line torn by a crash is skipped and costs no other; a full disk stops no resize."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def of(cls, fleet: str) -> "FileJournal":
        """The journal of a fleet of this project on this machine."""
        return cls(state_folder() / f"{fleet}.jsonl")

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        line = json.dumps({"at": time.time(), "event": event, **details, **progress.to_json()})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                whole = not file.tell() or file.seek(-1, os.SEEK_END) < 0 or file.read() == b"\n"
                file.write(f"{line}\n".encode() if whole else f"\n{line}\n".encode())
        except OSError as error:
            progress.note(f"the journal {self.path} could not be written: {error}")

    def entries(self) -> Iterator[dict[str, Any]]:
        """Everything recorded, oldest first."""
        try:
            lines = self.path.read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry


class DatabaseJournal:
    """Jobs and their events, where every machine and the admin can read them."""

    def __init__(self, fleet: Fleet, kind: str = "rebalance"):
        self._fleet, self._kind = fleet, kind

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        close_old_connections()  # Hours may lie between two events.
        try:
            self._write(event, progress, details)
        except DatabaseError as error:
            progress.note(f"the journal in the database could not be written: {error}")

    def _write(self, event: str, progress: Progress, details: dict[str, Any]) -> None:
        from ..models import Event, Job, TopologyChange  # Late: see above.

        name, now, said = self._fleet.configuration.fleet, timezone.now(), progress.to_json()
        known = {"state": progress.state, "progress": said, "heard": now}
        with transaction.atomic(using=router.db_for_write(Job)):
            job, _ = Job.objects.update_or_create(
                name=progress.job,
                defaults=known,
                create_defaults={"kind": self._kind, "fleet": name, **known},
            )
            Event.objects.create(job=job, at=now, event=event, details=details | said)
            topology = self._fleet.view.state.topology
            if event == "published" and topology.epoch == progress.epoch:
                # A conductor that was killed here and continued may publish the same epoch again.
                TopologyChange.objects.get_or_create(
                    fleet=name,
                    epoch=topology.epoch,
                    job=job,
                    defaults={"phase": str(topology.phase), "document": topology.to_json(), "at": now},
                )


def database_entries(fleet: str) -> Iterator[dict[str, Any]]:
    """What the database says happened to jobs of the fleet of this name, oldest first."""
    from ..models import Event  # Late: see above.

    events = Event.objects.filter(job__fleet=fleet)
    for at, event, details, kind in events.values_list("at", "event", "details", "job__kind").iterator():
        yield {"at": at.timestamp(), "event": event, "kind": kind, **details}
