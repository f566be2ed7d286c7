"""Runs of warmers from Python: begun, done here or by Celery workers, stopped, repeated, and looked at.

from dcache_manager.warming import find, service

job = service.begin(find("products"))
service.run(job)            # here, until it is over; or
service.send(job)           # Celery workers do it
service.cancel(job), service.retry(job), service.run_row(job)
"""

from typing import Any

from django.utils.timezone import now

from django_dcache.errors import Conflict

from ..errors import NotPossible
from ..jobs.owner import dead_here
from ..jobs.row_lease import TAKEOVER, claim
from ..models import Job
from . import distributed, runs
from .counts import ItemCounts
from .registry import Warmer
from .runs import OPEN, begin, failures
from .worker_turn import BUSY, Report, counted

__all__ = ["begin", "cancel", "counts", "failures", "is_over", "retry", "run", "run_row", "send", "tend", "warmer_row"]


def run(job: Job, report: Report = lambda job, counts: None) -> None:
    """Do a run in this process, until it is over. Raises Conflict if a worker is at it."""
    if runs.work(job.name, report=report) == BUSY:
        raise Conflict(f"run {job.name} of {job.terms['warmer']} is being done by {job.holder or 'another worker'}")
    job.refresh_from_db()


def send(job: Job) -> None:
    """Have Celery workers do a run. Raises BrokerAway."""
    distributed.send(job.terms["warmer"], job.name)


def tend(job: Job) -> None:
    """Send for a worker again if the one that was at it is gone, or the message was lost: what beat does, for a project
    without. Raises BrokerAway."""
    idle = (now() - job.heard) > TAKEOVER
    if not is_over(job) and (idle or dead_here(job.holder)) and (held := claim(job)):
        held.leave()  # Claimed and let go: heard of just now, and the worker that was at it is shut out.
        send(job)


def is_over(job: Job) -> bool:
    return job.state not in OPEN


def cancel(job: Job) -> None:
    """Stop it at the next item. Raises ConfigurationError if it is over."""
    if is_over(job):
        raise NotPossible(f"job {job.name} is over: {job.state}")
    runs.cancel(job)


def retry(job: Job) -> Job:
    """A run of what failed in `job` and of nothing else, sent to workers; `job` itself if it is not over.

    Raises ConfigurationError, BrokerAway.
    """
    again = runs.retry(job)
    send(again)
    return again


def counts(job: Job) -> ItemCounts:
    """How far a run has come."""
    return counted(job)


def run_row(job: Job) -> dict[str, Any]:
    """A run, as people and programs see it."""
    found = {name: job.progress.get(name, 0) for name in ("loaded", "present", "failed", "seconds", "rate")}
    return {
        "job": job.name,
        "warmer": job.terms["warmer"],
        "state": job.state,
        "began": job.created.isoformat(timespec="seconds"),
        **found,
        "retry_of": job.terms.get("retry_of"),
    }


def warmer_row(warmer: Warmer) -> dict[str, Any]:
    """A warmer, as people and programs see it."""
    last = runs.last(warmer)
    return {
        "name": warmer.name,
        "alias": warmer.alias,
        "every": warmer.every,
        "tags": list(warmer.tags),
        "place": warmer.place,
        "last": last and last.name,
        "began": last and last.created.isoformat(timespec="seconds"),
        "state": last and last.state,
    }
