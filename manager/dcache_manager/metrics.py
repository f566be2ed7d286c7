"""What the nodes say of themselves, written down regularly; and forgetting what is old.

For Celery beat: neither raises because a fleet or the database is away. What could not be done is logged, and done
next time.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError, router, transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from django_dcache.backend import DistributedCache
from django_dcache.errors import DCacheError

from .errors import NothingReachable
from .inspection.fleet_report import FleetReport, look
from .inspection.target import Target
from .invalidation import log as invalidation
from .models import Job, NodeSample
from .settings import regions

log = logging.getLogger("dcache_manager")

LOOK_SECONDS = 2.0
"""How long the nodes of a fleet may take to answer."""
SAMPLES_KEPT = timedelta(days=7)
MAX_SAMPLES = 1_000_000
"""Rows: a week of fifty nodes, asked every thirty seconds."""
LEAST_SECONDS = 10.0
"""Between two samples of a fleet that are written because a page was looked at."""
JOBS_KEPT = timedelta(days=90)
"""After they were last heard of. Their events, steps and topologies go with them."""
BATCH_ROWS = 500
MAX_BATCHES = 100
"""Of a kind that one run drops; the next run continues."""


def take(seconds: float = LOOK_SECONDS) -> int:
    """Write down one sample of each node of each fleet of this project; how many."""
    return sum(_write(target, _rows(target, seconds)) for target in _fleets())


def note(target: Target, seen: FleetReport) -> None:
    """Write down a look that was had anyway, unless there is a sample of just now."""
    lately = NodeSample.objects.filter(fleet=target.name, at__gt=now() - timedelta(seconds=LEAST_SECONDS))
    try:
        known = lately.exists()
    except DatabaseError:
        return
    if not known:
        _write(target, seen.rows())


def expire(max_samples: int = MAX_SAMPLES) -> int:
    """Drop samples, jobs, and invalidations that every region has applied, when they are old; how many."""
    moment, count = now(), 0
    try:
        count += _drop(_old_samples(max_samples))
        count += _drop(Job.objects.filter(heard__lt=moment - JOBS_KEPT))
        count += _drop(invalidation.old())
    except DatabaseError as error:
        log.warning("What is old could not be dropped: %s", error, extra={"action": "expire_failed"})
    return count


def _fleets() -> Iterable[Target]:
    """One target a fleet: aliases may share one."""
    found: dict[str, Target] = {}
    for alias in settings.CACHES:
        cache = caches[alias]
        if isinstance(cache, DistributedCache):
            configuration = cache.fleet.configuration
            found.setdefault(configuration.fleet, Target(alias, configuration, configuration.layout))
    return found.values()


def _rows(target: Target, seconds: float) -> list[dict[str, Any]]:
    """What `status` would show of the nodes."""
    try:
        return look(target, seconds).rows()
    except NothingReachable:
        return [{"name": node.name, "state": "down"} for node in target.configuration.layout.nodes]
    except DCacheError as error:
        extra = {"action": "samples_failed", "fleet": target.name}
        log.warning("Fleet %r could not be looked at: %s", target.name, error, extra=extra)
        return []


def _write(target: Target, rows: list[dict[str, Any]]) -> int:
    fleet, moment, known = target.name, now(), regions()
    where = {"region": known.here} if known else {}
    samples = []
    for row in rows:
        facts = {name: value for name, value in row.items() if name not in ("name", "state")}
        samples.append(NodeSample(fleet=fleet, node=row["name"], at=moment, state=row["state"], facts=facts | where))
    try:
        with transaction.atomic(using=router.db_for_write(NodeSample)):
            count = len(NodeSample.objects.bulk_create(samples))
            _drop(_old_samples(), batches=1)
    except DatabaseError as error:
        extra = {"action": "samples_failed", "fleet": fleet}
        log.warning("Samples of fleet %r could not be written: %s", fleet, error, extra=extra)
        return 0
    return count


def _old_samples(most: int = MAX_SAMPLES) -> QuerySet[NodeSample]:
    newest = NodeSample.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return NodeSample.objects.filter(Q(at__lt=now() - SAMPLES_KEPT) | Q(pk__lte=newest - most))


def _drop(old: QuerySet[Any], batches: int = MAX_BATCHES) -> int:
    """In batches, by number: a long transaction would hold up writers."""
    count = 0
    for _ in range(batches):
        numbers = list(old.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])
        old.model.objects.filter(pk__in=numbers).delete()
        count += len(numbers)
        if len(numbers) < BATCH_ROWS:
            break
    return count
