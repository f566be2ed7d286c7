"""Runs of warmers as jobs in the database: begun, done a turn at a time by the worker that holds the claim, repeated.

Nothing is lost with a worker: the next one continues at the last position, and finds in the cache what was done since.
"""

import logging
import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now

from django_dcache.errors import ConfigurationError

from ..errors import NotFound, NotPossible
from ..jobs.row_lease import TAKEOVER, claim
from ..models import Job
from ..settings import regions
from . import registry
from .counts import ItemCounts
from .registry import Warmer
from .runner import RETRY_SECONDS
from .worker_turn import BUSY, Report, WarmTurn, tell

log = logging.getLogger("dcache_manager")

TURN_SECONDS = 30.0
"""Of work that a task does before it sends the rest as another."""
OPEN = ("running", "cancelling")
"""The states of a job that is not over; it may end done, partial, cancelled or failed."""


def runs(fleet: str | None = None) -> QuerySet[Job]:
    """The runs of warmers in this region, the newest first."""
    found = Job.objects.filter(kind="warm", terms__region=_region())
    return found if fleet is None else found.filter(fleet=fleet)


def last(warmer: Warmer) -> Job | None:
    """The last run of the whole of `warmer`."""
    found: Job | None = runs(warmer.fleet).filter(terms__warmer=warmer.name, terms__only=None).first()
    return found


def begin(
    warmer: Warmer,
    only: Collection[str] | None = None,
    rate: float | None = None,
    concurrency: int | None = None,
    **terms: Any,
) -> Job:
    """A run of `warmer`, or of the items in `only`. If a whole run is not over yet, it continues."""
    under_way = last(warmer) if only is None else None
    if under_way and under_way.state in OPEN:
        asked = {"rate": rate, "concurrency": concurrency}
        under_way.terms |= {name: value for name, value in asked.items() if value is not None}
        under_way.save(update_fields=["terms"])
        return under_way
    terms |= {"warmer": warmer.name, "region": _region(), "only": None if only is None else sorted(only)}
    terms |= {"rate": rate or warmer.rate, "concurrency": concurrency or warmer.concurrency}
    job: Job = Job.objects.create(
        name=secrets.token_hex(4), kind="warm", fleet=warmer.fleet, state="running", terms=terms, heard=now()
    )
    tell(job, "began", ItemCounts())
    return job


def work(
    name: str,
    seconds: float | None = None,
    report: Report = lambda job, counts: None,
    retry_seconds: float = RETRY_SECONDS,
) -> str:
    """Do a run, for no longer than `seconds`; its state then, or BUSY. Harmless if it is over or a worker is at it."""
    job = Job.objects.get(name=name, kind="warm")
    if job.state not in OPEN:
        return str(job.state)
    held = claim(job)
    return WarmTurn(held, job, seconds, report, retry_seconds).work() if held else BUSY


def failures(job: Job) -> dict[str, str]:
    """The reasons, by the names of the items that failed; the first ones, if there are very many."""
    found: dict[str, str] = {}
    for terms in job.steps.filter(state="failed").values_list("terms", flat=True):
        found |= terms["failures"]
    return found


def retry(job: Job) -> Job:
    """A run of what failed in `job` and of nothing else; `job` itself if it is not over. Raises ConfigurationError."""
    if job.state in OPEN:
        return job
    failed = failures(job)
    if not failed:
        running = "it is still running" if job.state in OPEN else f"it is {job.state}"
        raise NotPossible(f"run {job.name} has no failed items ({running})")
    return begin(registry.find(job.terms["warmer"]), only=failed, retry_of=job.name)


def cancel(job: Job) -> None:
    """Stop it at the next item; at once, if no worker is at it."""
    Job.objects.filter(pk=job.pk, state="running").update(state="cancelling")
    work(job.name)


def named(name: str) -> Job:
    """The one run whose name begins so. Raises ConfigurationError."""
    found: list[Job] = list(runs().filter(name__startswith=name)[:2])
    if len(found) != 1:
        why = f"no run {name!r}" if not found else f"{name!r} is the beginning of several runs' names"
        raise NotFound(f"{why}; `warm status` lists the last ones")
    return found[0]


def due(clock: Callable[[], datetime] = now) -> list[Job]:
    """What a worker should do now: runs that are due by their warmer's `every`, and those whose worker is gone."""
    found = [job for job in runs().filter(state__in=OPEN) if clock() - job.heard >= TAKEOVER]
    for warmer in registry.warmers():
        if warmer.every is None:
            continue
        try:
            before = last(warmer)
        except ConfigurationError as error:  # One bad warmer must not stop the others.
            log.warning("%s", error, extra={"action": "warmer_failed"})
            continue
        over = before is None or before.state not in OPEN
        if over and (before is None or clock() - before.created >= timedelta(seconds=warmer.every)):
            found.append(begin(warmer))
    return found


def _region() -> str:
    known = regions()
    return known.here if known else ""
