"""Conducting a rebalance in turns, each a Celery task that sends for the next one (table `Job`).

Whichever worker is killed, and whichever message is lost or comes twice: the row says what is to be done and which
worker is at it, its token shuts out the one before, and what is true of the fleet is in the fleet state.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from celery import current_app
from django.core.cache import caches
from django.db import DatabaseError, close_old_connections
from django.utils.timezone import now

from django_dcache.errors import Conflict, DCacheError
from django_dcache.model.topology import Layout, Topology
from django_dcache.runtime.fleet import Fleet

from ...errors import Adjourned, ClaimLost
from ...jobs import owner
from ...jobs.journal import DatabaseJournal
from ...jobs.progress import Progress
from ...jobs.row_lease import TAKEOVER, Claim, claim
from ...messaging import publisher
from ...models import Job
from ...settings import own_queue
from ..conductor import Conductor
from ..leadership import require_epoch
from .passes import DistributedPasses, drop
from .steps import work

log = logging.getLogger("dcache_manager")

KIND = "rebalance"
OVER = ("done", "cancelled", "interrupted", "failed")
TURN_SECONDS = 20.0
"""After which a conductor hands over to the next turn, wherever that can continue."""
PAUSE_CHECK_SECONDS = 2.0
"""Between two looks at whether a pause is over."""
RETRY_SECONDS = 5.0
"""After which a message that found another worker at the job comes again."""
MAX_RETRIES = 8
"""Then a holder that shows no sign of life is given up."""
DATABASE_OUTAGE_SECONDS = 15.0
"""For which the database may fail before a conductor gives up its turn."""


def to_json(layout: Layout) -> dict[str, Any]:
    return Topology(1, layout).to_json()


def to_layout(document: Any) -> Layout:
    return Topology.from_json(document).layout


def send(job: Job, retries: int = MAX_RETRIES, countdown: float = 0.0) -> bool:
    """Have a worker lead `job`; whether the broker took the message."""
    return publisher.send("dcache.rebalance", job.name, retries, queue=job.terms["queue"], countdown=countdown)


def lead(name: str, retries: int = 0) -> None:
    """Lead job `name` for a turn, and send for the next one; if no message can be sent, take that one too."""
    job = Job.objects.filter(name=name).first()
    while job and job.state not in OVER:
        held = claim(job)
        if held is None:
            # The message may be that of a worker which was killed, and still seems to be alive.
            if retries > 0:
                send(job, retries - 1, RETRY_SECONDS)
            return
        pause = ConductorTurn(held).run()
        if pause is None or send(job, countdown=pause):
            return
        time.sleep(pause)
        job = Job.objects.filter(name=name).first()


def help_out(name: str) -> None:
    """Do steps of job `name` for a while, and send for another worker if there are more."""
    if work(name):
        publisher.send("dcache.move", name, queue=own_queue())


def tend() -> None:
    """Send for workers for jobs that no worker is at, because a message was lost or a machine has died."""
    for job in Job.objects.filter(kind=KIND).exclude(state__in=OVER):
        limit = TAKEOVER.total_seconds() if job.holder else 2 * PAUSE_CHECK_SECONDS
        idle = (now() - job.heard).total_seconds() > limit
        if job.terms.get("queue") == own_queue() and (idle or owner.dead_here(job.holder)):
            # Claimed and let go: heard of just now, and the worker that was at it is shut out.
            if held := claim(job):
                held.leave()
                send(job, 0)


class ConductorTurn:
    """A part of a run, by one worker."""

    def __init__(self, held: Claim, clock: Callable[[], float] = time.monotonic):
        self._held, self._clock = held, clock
        self._job: Job = held.row
        self._terms: dict[str, Any] = dict(self._job.terms)
        self._fleet: Fleet = caches[self._terms["alias"]].fleet
        self._until = float("inf") if current_app.conf.task_always_eager else clock() + TURN_SECONDS
        self._heard = clock()
        said = Progress.from_json(self._job.progress)
        self._begun = said is not None
        self._progress = said or Progress(self._job.name, f"job/{self._job.name}", started=time.time())

    def run(self) -> float | None:
        """Seconds until the next turn should begin; None if there is none, or another worker is at it."""
        self._conductor = Conductor(
            self._fleet,
            _HoldersJournal(self._held, self._fleet),
            report=self._report,
            progress=self._progress,
            passes=partial(DistributedPasses, job=self._job, invite=self._invite, rest=self._rest),
            rest=self._rest,
        )
        try:
            self._conduct()
        except Adjourned:
            self._held.leave()
            return PAUSE_CHECK_SECONDS if self._progress.state == "paused" else 0.0
        except ClaimLost:
            return None
        except DatabaseError as error:
            log.warning("Job %s can't continue for now: %s", self._job.name, error, extra={"action": "turn_broken"})
            close_old_connections()
            with suppress(DatabaseError, ClaimLost):
                self._held.leave()
            return RETRY_SECONDS
        except DCacheError:
            pass  # Its row says so.
        drop(self._job)
        self._held.leave()
        return None

    def _conduct(self) -> None:
        desired = to_layout(self._terms["desired"])
        if self._begun:
            back = self._terms.get("back")
            self._conductor.proceed(desired, to_layout(back) if back else None)
            return
        try:
            require_epoch(self._terms["epoch"], self._fleet.proven_view().epoch)
        except Conflict as error:
            self._conductor.refuse(error)
            raise
        self._conductor.run(desired)

    def _rest(self) -> None:
        if self._clock() > self._until or (self._until < float("inf") and self._progress.state == "paused"):
            raise Adjourned

    def _report(self, progress: Progress) -> None:
        """Show life. Raises ClaimLost; DatabaseError only if it lasts."""
        said: dict[str, Any] = {"state": progress.state, "progress": progress.to_json()}
        back = self._conductor.before if progress.state == "cancelling" else None
        try:
            if back and "back" not in self._job.terms:
                self._job.refresh_from_db(fields=["terms"])  # Its rate may have changed since this turn began.
                said["terms"] = self._job.terms | {"back": to_json(back)}
            self._held.beat(**said)
            self._heard = self._clock()
        except DatabaseError:
            close_old_connections()
            if self._clock() - self._heard > DATABASE_OUTAGE_SECONDS:
                raise

    def _invite(self, workers: int) -> None:
        if current_app.conf.task_always_eager:
            return
        for _ in range(workers):
            if not publisher.send("dcache.move", self._job.name, queue=self._terms["queue"]):
                return


class _HoldersJournal:
    """The journal of the worker that holds the job: no other may say how it goes."""

    def __init__(self, held: Claim, fleet: Fleet):
        self._held, self._journal = held, DatabaseJournal(fleet, KIND)

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        self._held.beat()
        self._journal.record(event, progress, **details)
