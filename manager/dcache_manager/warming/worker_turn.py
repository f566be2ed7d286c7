"""One worker's time with a run: it holds the claim, shows life, and leaves the run further than it was."""

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, router, transaction
from django.utils.timezone import now

from django_dcache.errors import ConfigurationError

from ..errors import ClaimLost
from ..jobs.row_lease import Claim
from ..models import Event, Job, Step
from . import registry
from .counts import ItemCounts
from .runner import Runner, WarmerFailed

log = logging.getLogger("dcache_manager")

BEAT_SECONDS = 2.0
"""Between two signs of life."""
BUSY = "busy"
"""Not a job's state: another worker is at it."""

Report = Callable[[Job, ItemCounts], None]


class WarmTurn:
    """One worker's time with a job."""

    def __init__(self, held: Claim, job: Job, seconds: float | None, report: Report, retry_seconds: float):
        self._held, self._job, self._report, self._retry_seconds = held, job, report, retry_seconds
        self._owner = job.holder
        self._counts = counted(job)
        self._until = None if seconds is None else time.monotonic() + seconds
        self._beat_at = time.monotonic()
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
        terms, counts = self._job.terms, self._counts
        try:
            warmer = registry.find(terms["warmer"])
            if not warmer.ordered:
                # Which items came before this position can't be told. What is there already is soon seen to be.
                self._counts = counts = ItemCounts()
                self._job.steps.all().delete()
                self._until = None
            runner = Runner(counts, terms["concurrency"], terms["rate"], self._tick, self._retry_seconds)
            complete = runner.run(warmer.items(), None if terms["only"] is None else set(terms["only"]))
        except (WarmerFailed, ConfigurationError) as error:
            log.warning("Warmer %r failed.", terms["warmer"], exc_info=True, extra={"action": "warmer_failed"})
            counts.notes.append(f"the warmer itself failed after {counts.position} items: {error}")
            return "failed"
        if complete:
            return "partial" if counts.failed else "done"
        return "cancelled" if self._cancelled else "running"

    def _tick(self) -> bool:
        moment = time.monotonic()
        if moment >= self._beat_at:
            self._beat_at = moment + BEAT_SECONDS
            self._write()
            state = Job.objects.values_list("state", flat=True).get(pk=self._job.pk)
            self._cancelled = state == "cancelling"
            self._report(self._job, self._counts)
        return not self._cancelled and (self._until is None or moment < self._until)

    def _leave(self, state: str) -> None:
        self._write(holder="", **({} if state == "running" else {"state": state}))
        if state != "running":
            self._job.state = state
            tell(self._job, state, self._counts, self._owner)
        self._report(self._job, self._counts)

    def _write(self, **fields: Any) -> None:
        """Show life, with the counts and the new failures. Raises ClaimLost."""
        fresh, self._counts.failures = self._counts.failures, {}
        with transaction.atomic(using=router.db_for_write(Job)):
            self._held.beat(progress=self._counts.to_json(), **fields)
            if fresh:
                Step.objects.create(
                    job=self._job,
                    name=f"failures {secrets.token_hex(4)}",
                    state="failed",
                    terms={"failures": fresh},
                    heard=now(),
                )


def counted(job: Job) -> ItemCounts:
    """How far it has come."""
    return ItemCounts(
        **{name: value for name, value in job.progress.items() if name in ItemCounts.__dataclass_fields__}
    )


def tell(job: Job, event: str, counts: ItemCounts, owner: str = "") -> None:
    """A line in the journal, as `jobs show` reads it."""
    said = {"job": job.name, "owner": owner, "state": job.state, "what": f"warmer {job.terms['warmer']}"}
    Event.objects.create(job=job, at=now(), event=event, details=said | counts.to_json())
