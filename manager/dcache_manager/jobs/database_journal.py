"""The journal in the site's database, where every machine and the admin can read it."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, close_old_connections, connections, router, transaction
from django.utils import timezone

from django_dcache.runtime.fleet import Fleet

from .journal import FileJournal, Journal
from .progress import Progress


def journal(fleet: Fleet) -> Journal:
    """The journal of `fleet`: in the database if its tables are there, else in a file on this machine."""
    return DatabaseJournal(fleet) if installed() else FileJournal.of(fleet.configuration.fleet)


def installed() -> bool:
    """Whether dcache_manager is an app of this project, and migrated."""
    if not apps.ready or not apps.is_installed("dcache_manager"):
        return False
    from ..models import Job

    try:
        return Job._meta.db_table in connections[router.db_for_read(Job)].introspection.table_names()
    except (DatabaseError, ImproperlyConfigured):
        return False


class DatabaseJournal:
    """Jobs and their events. A database that fails never stops a resize: that is a note."""

    def __init__(self, fleet: Fleet, kind: str = "rebalance"):
        self._fleet, self._kind = fleet, kind

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        close_old_connections()  # Hours may lie between two events.
        try:
            self._write(event, progress, details)
        except DatabaseError as error:
            note = f"the journal in the database could not be written: {error}"
            if note not in progress.notes:
                progress.notes.append(note)

    def _write(self, event: str, progress: Progress, details: dict[str, Any]) -> None:
        from ..models import Event, Job, TopologyChange

        name, now, said = self._fleet.configuration.fleet, timezone.now(), progress.to_json()
        with transaction.atomic(using=router.db_for_write(Job)):
            job, _ = Job.objects.update_or_create(
                name=progress.job,
                defaults={"state": progress.state, "progress": said, "heard": now},
                create_defaults={
                    "kind": self._kind,
                    "fleet": name,
                    "state": progress.state,
                    "progress": said,
                    "heard": now,
                },
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

    def entries(self) -> Iterator[dict[str, Any]]:
        from ..models import Event

        events = Event.objects.filter(job__fleet=self._fleet.configuration.fleet)
        for at, event, details in events.values_list("at", "event", "details").iterator():
            yield {"at": at.timestamp(), "event": event, **details}
