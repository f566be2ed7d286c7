"""What the nodes say of themselves, written down regularly; and forgetting what is old.

For Celery beat: neither raises because a fleet or the database is away. What could not be done is logged, and done
next time.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils.timezone import now

from django_dcache.backend import DistributedCache
from django_dcache.errors import DCacheError

from .errors import NothingReachable
from .inspection.fleet_report import look
from .inspection.target import Target
from .invalidation import log as invalidation
from .models import Job, NodeSample
from .settings import regions

log = logging.getLogger("dcache_manager")

LOOK_SECONDS = 2.0
"""How long the nodes of a fleet may take to answer."""
SAMPLES_KEPT = timedelta(days=7)
JOBS_KEPT = timedelta(days=90)
"""After they were last heard of. Their events, steps and topologies go with them."""
BATCH_ROWS = 500
MAX_BATCHES = 100
"""Of a kind that one run drops; the next run continues."""


def take(seconds: float = LOOK_SECONDS) -> int:
    """Write down one sample of each node of each fleet of this project; how many."""
    count = 0
    for target in _fleets():
        samples = list(_samples(target, seconds))
        try:
            count += len(NodeSample.objects.bulk_create(samples))
        except DatabaseError as error:
            fleet = target.configuration.fleet
            extra = {"action": "samples_failed", "fleet": fleet}
            log.warning("Samples of fleet %r could not be written: %s", fleet, error, extra=extra)
    return count


def expire() -> int:
    """Drop samples, jobs, and invalidations that every region has applied, when they are old; how many."""
    moment, count = now(), 0
    try:
        count += _drop(NodeSample.objects.filter(at__lt=moment - SAMPLES_KEPT))
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


def _samples(target: Target, seconds: float) -> Iterator[NodeSample]:
    fleet, moment, known = target.configuration.fleet, now(), regions()
    where = {"region": known.here} if known else {}
    try:
        rows = look(target, seconds).rows()
    except NothingReachable:
        rows = [{"name": node.name, "state": "down"} for node in target.configuration.layout.nodes]
    except DCacheError as error:
        extra = {"action": "samples_failed", "fleet": fleet}
        log.warning("Fleet %r could not be looked at: %s", fleet, error, extra=extra)
        return
    for row in rows:
        facts = {name: value for name, value in row.items() if name not in ("name", "state")}
        yield NodeSample(fleet=fleet, node=row["name"], at=moment, state=row["state"], facts=facts | where)


def _drop(old: QuerySet[Any]) -> int:
    """In batches, by number: a long transaction would hold up writers."""
    count = 0
    for _ in range(MAX_BATCHES):
        numbers = list(old.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])
        old.model.objects.filter(pk__in=numbers).delete()
        count += len(numbers)
        if len(numbers) < BATCH_ROWS:
            break
    return count
