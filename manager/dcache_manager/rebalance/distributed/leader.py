"""Conducting a rebalance in slices, each a Celery task that sends for the next one (table `Job`).

Whoever is killed, and whichever message is lost or comes twice: the row says what is to be done and who is at it, its
token shuts out whoever was at it before, and what is true of the fleet is in the fleet state.
"""

import logging
import time
from collections.abc import Callable, Iterator
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

from ...jobs import owner
from ...jobs.database_journal import DatabaseJournal
from ...jobs.progress import Progress
from ...jobs.row_lease import PATIENCE, Claim, ClaimLost, claim
from ...messaging.publisher import tell
from ...models import Job
from ...settings import own_queue
from ..conductor import Adjourned, Conductor
from .passes import Crew, drop
from .steps import work

log = logging.getLogger("dcache_manager")

KIND = "rebalance"
OVER = ("done", "cancelled", "failed")
SLICE = 20.0
"""Seconds after which a conductor lets the next slice go on, wherever that can."""
PAUSED = 2.0
"""Seconds between two looks at whether a pause is over."""
AGAIN = 5.0
"""Seconds after which a message that found somebody at the job comes again."""
TRIES = 8
"""How often it does: until a holder of which nothing is heard is given up."""
DEAF = 15.0
"""Seconds for which the database may fail before a conductor gives up its slice."""


def to_json(layout: Layout) -> dict[str, Any]:
    return Topology(1, layout).to_json()


def to_layout(document: Any) -> Layout:
    return Topology.from_json(document).layout


def send(job: Job, tries: int = TRIES, countdown: float = 0.0) -> bool:
    """Have a worker lead `job`; whether the broker took the message."""
    from ...tasks import rebalance

    return tell(rebalance, job.name, tries, queue=job.terms["queue"], countdown=countdown)


def lead(name: str, tries: int = 0) -> None:
    """Lead job `name` for a slice, and have the next one sent for; if no message can be sent, go on."""
    job = Job.objects.filter(name=name).first()
    while job and job.state not in OVER:
        held = claim(job)
        if held is None:
            # The message may be that of a worker which was killed, and seems to be alive still.
            if tries > 0:
                send(job, tries - 1, AGAIN)
            return
        pause = Slice(held).run()
        if pause is None or send(job, countdown=pause):
            return
        time.sleep(pause)
        job = Job.objects.filter(name=name).first()


def help_out(name: str) -> None:
    """Do steps of job `name` for a while, and send for others if there are more."""
    from ...tasks import move

    if work(name):
        tell(move, name, queue=own_queue())


def tend() -> None:
    """Send for workers for jobs that nobody is at, because a message was lost or a machine has died."""
    for job in Job.objects.filter(kind=KIND).exclude(state__in=OVER):
        idle = (now() - job.heard).total_seconds() > (2 * PAUSED if not job.holder else PATIENCE.total_seconds())
        if job.terms.get("queue") == own_queue() and (idle or owner.dead_here(job.holder)):
            # Claimed and let go: heard of just now, and whoever was at it is shut out.
            if held := claim(job):
                held.leave()
                send(job, 0)


class Slice:
    """A part of a run, by one worker."""

    def __init__(self, held: Claim, clock: Callable[[], float] = time.monotonic):
        self._held, self._clock = held, clock
        self._job: Job = held.row
        self._terms: dict[str, Any] = dict(self._job.terms)
        self._fleet: Fleet = caches[self._terms["alias"]].fleet
        self._until = float("inf") if current_app.conf.task_always_eager else clock() + SLICE
        self._heard = clock()
        said = Progress.from_json(self._job.progress)
        self._begun = said is not None
        self._progress = said or Progress(self._job.name, f"job/{self._job.name}", started=time.time())

    def run(self) -> float | None:
        """Seconds until the next slice should begin; None if there is none, or somebody else is at it."""
        self._conductor = Conductor(
            self._fleet,
            _Journal(self._held, self._fleet),
            max_rate=self._terms["max_rate"],
            report=self._report,
            progress=self._progress,
            passes=partial(Crew, job=self._job, invite=self._invite, rest=self._rest),
            rest=self._rest,
        )
        try:
            self._conduct()
        except Adjourned:
            self._held.leave()
            return PAUSED if self._progress.state == "paused" else 0.0
        except ClaimLost:
            return None
        except DatabaseError as error:
            log.warning("Job %s can't go on for now: %s", self._job.name, error, extra={"action": "slice_broken"})
            close_old_connections()
            with suppress(DatabaseError, ClaimLost):
                self._held.leave()
            return AGAIN
        except DCacheError:
            pass  # Its row says so.
        drop(self._job)
        self._held.leave()
        return None

    def _conduct(self) -> None:
        desired = to_layout(self._terms["desired"])
        if self._begun:
            back = self._terms.get("back")
            self._conductor.go_on(desired, to_layout(back) if back else None)
            return
        # Whoever comes first plants LOCATION as epoch 1: that changes nothing.
        wanted, found = self._terms["epoch"], self._fleet.proven_view().epoch
        if wanted is not None and found != max(wanted, 1):
            error = Conflict(f"the plan was for epoch {wanted}", epoch=found)
            self._conductor.close(error)
            raise error
        self._conductor.run(desired)

    def _rest(self) -> None:
        if self._clock() > self._until or (self._until < float("inf") and self._progress.state == "paused"):
            raise Adjourned

    def _report(self, progress: Progress) -> None:
        """Show life. Raises ClaimLost; DatabaseError only if it lasts."""
        if progress.state == "cancelling" and self._conductor.before:
            self._terms["back"] = to_json(self._conductor.before)
        try:
            self._held.beat(state=progress.state, progress=progress.to_json(), terms=self._terms)
            self._heard = self._clock()
        except DatabaseError:
            close_old_connections()
            if self._clock() - self._heard > DEAF:
                raise

    def _invite(self, workers: int) -> None:
        from ...tasks import move

        if current_app.conf.task_always_eager:
            return
        for _ in range(workers):
            if not tell(move, self._job.name, queue=self._terms["queue"]):
                return


class _Journal:
    """The journal of whoever holds the job: nobody else may say how it goes."""

    def __init__(self, held: Claim, fleet: Fleet):
        self._held, self._journal = held, DatabaseJournal(fleet, KIND)

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        self._held.beat()
        self._journal.record(event, progress, **details)

    def entries(self) -> Iterator[dict[str, Any]]:
        return self._journal.entries()
