"""Runs of warmers as jobs in the database: begun, done a slice at a time by whoever holds the claim, and repeated.

Nothing is lost with a worker: the next one goes on from the last position, and finds in the cache what was done since.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from django_dcache.errors import ConfigurationError

from ..claims import PATIENCE, Claim, ClaimLost, claim
from ..models import Event, Job, Step
from ..regions import regions
from . import registry
from .registry import Warmer
from .run import AGAIN_AFTER, Runner, Tally, WarmerFailed

log = logging.getLogger("dcache_manager")

SLICE = 30.0
"""Seconds of work that a task does before it sends the rest as another."""
SIGN = 2.0
"""Seconds between two signs of life."""
OPEN = ("running", "cancelling")
"""The states of a job that is not over; it may end done, partial, cancelled or failed."""
BUSY = "busy"
"""Not a job's state: somebody else is at it."""

Report = Callable[[Job, Tally], None]


def runs(fleet: str | None = None) -> QuerySet[Job]:
    """The runs of warmers in this region, the newest first."""
    found = Job.objects.filter(kind="warm", terms__region=_region())
    return found if fleet is None else found.filter(fleet=fleet)


def last(warmer: Warmer) -> Job | None:
    """The last run of the whole of `warmer`."""
    return runs(warmer.fleet).filter(terms__warmer=warmer.name, terms__only=None).first()


def begin(
    warmer: Warmer,
    only: Collection[str] | None = None,
    rate: float | None = None,
    concurrency: int | None = None,
    **terms: Any,
) -> Job:
    """A run of `warmer`, or of the items in `only`. The whole run that is not over yet, if there is one, goes on."""
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
    _tell(job, "began", Tally())
    return job


def work(
    name: str,
    seconds: float | None = None,
    report: Report = lambda job, tally: None,
    again_after: float = AGAIN_AFTER,
) -> str:
    """Do a run, for no longer than `seconds`; its state then, or BUSY. Harmless if it is over or somebody is at it."""
    job = Job.objects.get(name=name, kind="warm")
    if job.state not in OPEN:
        return str(job.state)
    held = claim(job)
    return Shift(held, job, seconds, report, again_after).work() if held else BUSY


def failures(job: Job) -> dict[str, str]:
    """The reasons, by the names of the items that failed; the first ones, if there are very many."""
    found: dict[str, str] = {}
    for terms in job.steps.filter(state="failed").values_list("terms", flat=True):
        found |= terms["failures"]
    return found


def counted(job: Job) -> Tally:
    """How far it has come."""
    return Tally(**{name: value for name, value in job.progress.items() if name in Tally.__dataclass_fields__})


def retry(job: Job) -> Job:
    """A run of what failed in `job` and of nothing else; `job` itself if it is not over. Raises ConfigurationError."""
    if job.state in OPEN:
        return job
    failed = failures(job)
    if not failed:
        raise ConfigurationError(f"no item failed in {job.name}, which is {job.state}")
    return begin(registry.find(job.terms["warmer"]), only=failed, retry_of=job.name)


def cancel(job: Job) -> None:
    """Stop it at the next item; at once, if nobody is at it."""
    Job.objects.filter(pk=job.pk, state="running").update(state="cancelling")
    work(job.name)


def named(name: str) -> Job:
    """The one run whose name begins so. Raises ConfigurationError."""
    found = list(runs().filter(name__startswith=name)[:2])
    if len(found) != 1:
        raise ConfigurationError(f"there is no run {name!r}" if not found else f"{name!r} is several runs")
    return found[0]


def due(clock: Callable[[], datetime] = now) -> list[Job]:
    """What a worker should do now: runs that are due by their warmer's `every`, and those that were left alone."""
    found = [job for job in runs().filter(state__in=OPEN) if clock() - job.heard >= PATIENCE]
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


class Shift:
    """One worker's time with a job."""

    def __init__(self, held: Claim, job: Job, seconds: float | None, report: Report, again_after: float):
        self._held, self._job, self._report, self._again_after = held, job, report, again_after
        self._tally = counted(job)
        self._until = None if seconds is None else time.monotonic() + seconds
        self._next_sign = time.monotonic()
        self._cancelled = False

    def work(self) -> str:
        """The state in which it is left."""
        try:
            state = self._run()
            self._leave(state)
        except ClaimLost:
            return BUSY
        except BaseException:
            with suppress(ClaimLost, DatabaseError):
                self._leave("running")
            raise
        return state

    def _run(self) -> str:
        terms, tally = self._job.terms, self._tally
        try:
            warmer = registry.find(terms["warmer"])
            if not warmer.ordered:
                # Nobody can tell which items were before this position. What is there is soon seen to be.
                self._tally = tally = Tally()
                self._job.steps.all().delete()
                self._until = None
            runner = Runner(tally, terms["concurrency"], terms["rate"], self._tick, self._again_after)
            complete = runner.run(warmer.items(), None if terms["only"] is None else set(terms["only"]))
        except (WarmerFailed, ConfigurationError) as error:
            log.warning("Warmer %r failed.", terms["warmer"], exc_info=True, extra={"action": "warmer_failed"})
            tally.notes.append(f"the warmer itself failed after {tally.position} items: {error}")
            return "failed"
        if complete:
            return "partial" if tally.failed else "done"
        return "cancelled" if self._cancelled else "running"

    def _tick(self) -> bool:
        moment = time.monotonic()
        if moment >= self._next_sign:
            self._next_sign = moment + SIGN
            self._write()
            state = Job.objects.values_list("state", flat=True).get(pk=self._job.pk)
            self._cancelled = state == "cancelling"
            self._report(self._job, self._tally)
        return not self._cancelled and (self._until is None or moment < self._until)

    def _leave(self, state: str) -> None:
        self._write(holder="", **({} if state == "running" else {"state": state}))
        if state != "running":
            self._job.state = state
            _tell(self._job, state, self._tally)
        self._report(self._job, self._tally)

    def _write(self, **fields: Any) -> None:
        """Show life, with the counts and the new failures. Raises ClaimLost."""
        fresh, self._tally.failures = self._tally.failures, {}
        with transaction.atomic(using=router.db_for_write(Job)):
            self._held.beat(progress=self._tally.to_json(), **fields)
            if fresh:
                Step.objects.create(
                    job=self._job,
                    name=f"failures {secrets.token_hex(4)}",
                    state="failed",
                    terms={"failures": fresh},
                    heard=now(),
                )


def _tell(job: Job, event: str, tally: Tally) -> None:
    """A line in the journal, as `jobs show` reads it."""
    said = {"job": job.name, "owner": job.holder, "state": job.state, "doing": f"warmer {job.terms['warmer']}"}
    Event.objects.create(job=job, at=now(), event=event, details=said | tally.to_json())


def _region() -> str:
    known = regions()
    return known.here if known else ""
