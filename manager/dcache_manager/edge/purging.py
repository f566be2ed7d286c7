"""Purging edges by the log of invalidations: an edge acknowledges an entry as a region does.

An edge is purged at once, when the tag is invalid in this region, again SOON after that, and for the last time after
SETTLE has passed since every region has applied the entry. Only the last purge acknowledges it: a response that was on
its way when an earlier one came, or that a region which had not heard of it yet has made, is in the edge by then. What
is on its way for longer than that an edge does not keep, if it can tell (`django_dcache.edge.CHECKED`).
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from ..edges import Edge
from ..messaging import publisher
from ..models import Acknowledgement, Invalidation
from ..settings import Regions, queue
from .adapters import purge as tell_edge

log = logging.getLogger("dcache_manager")

SETTLE = timedelta(seconds=2)
"""After this time no response that was made before an invalidation is on its way to an edge."""
SOON = timedelta(seconds=0.5)
"""After this time nearly all of them have arrived."""
RETRY = timedelta(seconds=2)
"""From the beginning of one purge to that of the next, but for the second one."""
BATCH_ENTRIES = 1000


def tell(number: int, kind: str, known: Regions) -> None:
    """After the commit, have a worker of this region purge. One that is not told finds the entry in the log."""
    if kind == "tags" and known.edges:
        transaction.on_commit(
            lambda: publisher.broadcast("dcache.purge", number, queues=[queue(known.here)]),
            using=router.db_for_write(Invalidation),
        )


def purge(numbers: Sequence[int], known: Regions) -> None:
    """Purge all edges of these entries, where no worker has begun to."""
    for edge in known.edges:
        _purge(edge, list(_entries().filter(pk__in=numbers)), known)


def purge_due(known: Regions) -> None:
    """Purge each edge of what it has not acknowledged yet."""
    entries = list(_entries().order_by("pk")[:BATCH_ENTRIES]) if known.edges else []
    for edge in known.edges:
        _purge(edge, entries, known)


def _entries() -> "QuerySet[Invalidation]":
    return Invalidation.objects.filter(settled=False, kind="tags").prefetch_related("acknowledgements")


def _purge(edge: Edge, entries: Sequence[Invalidation], known: Regions) -> None:
    """In one go: after an outage there may be many."""
    began = now()
    claimed = [entry for entry in entries if _claim(entry, edge, began)]
    if not claimed:
        return
    try:
        tell_edge(edge, list(dict.fromkeys(tag for entry in claimed for tag in entry.made)))
    except Exception as error:  # Of the site's own function, too. The log has it, and it is tried again.
        log.warning(
            "Edge %r could not be purged, and is tried again: %s",
            edge.name,
            error,
            extra={"action": "edge_not_purged", "edge": edge.name, "entries": len(claimed)},
        )
        return
    done = [entry.pk for entry in claimed if _settled(entry, known, began)]
    Acknowledgement.objects.filter(invalidation_id__in=done, region=edge.region).update(applied=now())


def _claim(entry: Invalidation, edge: Edge, began: datetime) -> bool:
    """Whether this worker is to purge the edge of it now."""
    found = next((row for row in entry.acknowledgements.all() if row.region == edge.region), None)
    if found is None:
        _, ours = Acknowledgement.objects.get_or_create(
            invalidation=entry, region=edge.region, defaults={"begun": began, "applied": None}
        )
        return bool(ours)
    wait = SOON if found.begun - entry.created < SOON else RETRY
    if found.applied or found.begun > began - wait:
        return False
    row = Acknowledgement.objects.filter(pk=found.pk, begun=found.begun, applied__isnull=True)
    return bool(row.update(begun=began))


def _settled(entry: Invalidation, known: Regions, began: datetime) -> bool:
    applied = {row.region: row.applied for row in entry.acknowledgements.all() if row.applied}
    return all(region in applied and applied[region] <= began - SETTLE for region in known.everywhere)
