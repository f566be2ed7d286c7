"""Doing the steps of a rebalance: each is a pass over a part of one node's slots, done by any worker that is free.

A step may be broken off, taken over or done twice at any moment, as any pass may (rebalance/passes.py). What says that
it is done is its row.
"""

import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.core.cache import caches
from django.db import DatabaseError, router, transaction
from django.utils.timezone import now

from django_dcache.errors import Conflict
from django_dcache.flows.resize import Moved
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.view import Standing
from django_dcache.runtime.fleet import Fleet

from ...errors import ClaimLost
from ...jobs.progress import Progress
from ...jobs.row_lease import Claim, claim
from ...models import Job, Step
from ..key_filter import BY_NAME
from ..passes import Listed, LocalPasses, moving_throttle

log = logging.getLogger("dcache_manager")

STEP_KEYS = 5_000
"""A step with more keys than this leaves a part of them to others."""
COPY_COST_RATIO = 15
"""How many times as long it takes to carry a key as to list one, about."""
BEAT_SECONDS = 1.0
"""Between two signs of life of a step."""
TURN_SECONDS = 20.0
"""After which a worker that does steps is free for other tasks."""
MAX_RETRIES = 3
"""How often a step tries again what nodes did not answer, rather than leave it to another pass over all nodes."""
RETRY_SECONDS = 1.0
"""Before it does."""
POLL_SECONDS = 0.1
"""Between two looks whether nodes that were made empty may be filled."""
COUNTS = ("moved", "bytes", "gone", "failed", "swept", "listed", "done")
KEPT = ("moved", "bytes", "swept")
"""Counts of what stays done when a step is begun anew."""


class Paused(Exception):
    """The operator asked for a pause."""


def open_steps(job: Job) -> "list[Step]":
    return list(Step.objects.filter(job=job, state__in=("waiting", "running")))


def take(steps: Sequence[Step]) -> Claim | None:
    """The claim to one of `steps` that no living worker is at; if possible on a node that none is listing."""
    busy = Counter(step.terms["node"] for step in steps if step.holder)
    for step in sorted(steps, key=lambda step: (busy[step.terms["node"]], random.random())):
        if found := claim(step):
            found.beat(state="running")
            return found
    return None


def do(
    held: Claim,
    fleet: Fleet,
    tick: Callable[[], None] = lambda: None,
    beat: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Do a step; it waits again if it is broken off. `tick` and `beat` as for LocalPasses. Raises ClaimLost."""
    work = _Work(held, fleet, beat, clock, sleep)
    try:
        work.run(tick)
    except BaseException as error:
        # Once the fleet has moved on it is not needed any more.
        obsolete = isinstance(error, Conflict) and fleet.view.epoch != held.row.terms["epoch"]
        with suppress(ClaimLost, DatabaseError):
            held.leave(state="failed" if obsolete else "waiting")
        if not obsolete:
            raise


class _Work:
    def __init__(
        self,
        held: Claim,
        fleet: Fleet,
        beat: Callable[[], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ):
        self._sleep = sleep
        self._held, self._fleet, self._outer_beat, self._clock = held, fleet, beat, clock
        self._terms: dict[str, Any] = held.row.terms
        kept = {name: held.row.checkpoint.get(name, 0) for name in KEPT}
        self._counts = Progress(held.row.job.name, held.row.holder, **kept)
        self._throttle = moving_throttle(fleet)
        self._beat_at = float("-inf")
        self._high: int | None = None
        """The last slot of this step, once it is known whether it leaves some to others."""

    def run(self, tick: Callable[[], None]) -> None:
        terms = self._terms
        view = self._fleet.proven_view()
        if view.epoch != terms["epoch"]:
            raise Conflict(f"this step is of epoch {terms['epoch']}", epoch=view.epoch)

        def tick_and_beat() -> None:
            self._beat()
            tick()

        slots = range(terms["low"], terms["high"] + 1)
        passes = LocalPasses(self._fleet, self._throttle, self._counts, tick_and_beat, self._beat, slots, self._keep)
        moved = Moved()
        self._beat()  # The rate of the job is known before the first key moves.
        self._wait_until_open()
        if terms["verb"] == "copy":
            moved = passes.copy([terms["node"]], terms["retire"], terms["share"])
            for _ in range(MAX_RETRIES):
                if moved.failed <= moved.busy:
                    break
                self._wait(RETRY_SECONDS)
                moved = passes.copy([terms["node"]], terms["retire"], terms["share"]) + moved._replace(failed=0, busy=0)
        else:
            passes.sweep([terms["node"]], BY_NAME[terms["wanted"]])
        result = {"result": list(moved), "refused": bool(passes.refused), "away": bool(passes.away)}
        self._held.leave(state="done", checkpoint=self._checkpoint() | result)

    def _wait_until_open(self) -> None:
        """A process that is new to this fleet leaves nodes that were made empty alone for a moment (quarantine)."""
        view = self._fleet.view
        until = self._clock() + 2 * view.hold
        while self._clock() < until:
            if all(view.standing(name, WHOLE_NODE) is Standing.OPEN for name in view.state.topology.nodes):
                break
            self._wait(POLL_SECONDS)
            view = self._fleet.proven_view()

    def _wait(self, seconds: float) -> None:
        self._beat()
        self._sleep(seconds)

    def _beat(self) -> None:
        self._outer_beat()
        if self._clock() < self._beat_at:
            return
        self._beat_at = self._clock() + BEAT_SECONDS
        self._held.beat(checkpoint=self._checkpoint())
        # An operator may have changed it since.
        rate = Job.objects.values_list("terms__max_rate", flat=True).get(pk=self._held.row.job_id)
        running = Step.objects.filter(job=self._held.row.job_id, state="running").count() if rate else 0
        self._throttle.limit(rate / max(1, running) if rate else None)

    def _checkpoint(self) -> dict[str, Any]:
        return {name: getattr(self._counts, name) for name in COUNTS} | {"notes": self._counts.notes}

    def _keep(self, found: list[Listed], seen: int) -> list[Listed]:
        """What of the keys found is for this step; for the others steps are made."""
        if self._high is not None:
            return [listed for listed in found if listed.key.slot <= self._high]
        terms, parts = self._terms, pieces(len(found), seen)
        ranges = list(split(Counter(listed.key.slot for listed in found), terms["low"], terms["high"], parts))
        self._high = ranges[0][1]
        if len(ranges) == 1:
            return found
        step: Step = self._held.row
        prefix = step.name.rpartition("/")[0]
        with transaction.atomic(using=router.db_for_write(Step)):
            others = [
                Step(job=step.job, name=f"{prefix}/{low}", terms=terms | {"low": low, "high": high}, heard=now())
                for low, high in ranges[1:]
            ]
            Step.objects.bulk_create(others, ignore_conflicts=True)
            self._held.beat(terms=terms | {"high": self._high})
        return [listed for listed in found if listed.key.slot <= self._high]


def pieces(keys: int, seen: int) -> int:
    """Into how many parts to cut a step of this many keys, found among all those `seen` on its node.

    Each part lists the node anew: it must carry keys for longer than that takes.
    """
    return max(1, min(math.ceil(keys / STEP_KEYS), COPY_COST_RATIO * keys // max(1, seen)))


def split(keys: "Counter[int]", low: int, high: int, parts: int) -> Iterator[tuple[int, int]]:
    """Cut the slots from low to high into at most `parts` ranges with about as many keys in each."""
    share = sum(keys.values()) / parts
    begin, seen, cuts = low, 0, 1
    for slot in range(low, high):
        seen += keys[slot]
        if seen >= share * cuts and cuts < parts:
            yield begin, slot
            begin, cuts = slot + 1, cuts + 1
    yield begin, high


def work(name: str, clock: Callable[[], float] = time.monotonic) -> bool:
    """Do steps of job `name` while a conductor leads it, for about TURN_SECONDS; whether there are more."""

    def tick() -> None:
        if fleet.view.state.control.wish == "pause":
            raise Paused

    until = clock() + TURN_SECONDS
    while job := Job.objects.filter(name=name).exclude(holder="").first():
        fleet = caches[job.terms["alias"]].fleet
        held = take(open_steps(job))
        if held is None:
            return False
        try:
            do(held, fleet, tick)
        except (ClaimLost, Paused):
            return False
        if clock() > until:
            return True
    return False
