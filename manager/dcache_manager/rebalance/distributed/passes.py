"""Passes over a fleet as steps of a job, which many workers do side by side (table `Step`)."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from django.utils.timezone import now

from django_dcache.errors import Conflict
from django_dcache.flows.resize import Moved
from django_dcache.model.keys import SLOTS
from django_dcache.runtime.fleet import Fleet

from ...errors import ClaimLost
from ...jobs.progress import Progress
from ...models import Job, Step
from ...throttle import Throttle
from ..key_filter import Wanted
from .steps import COUNTS, do, open_steps, take

INVITE_SECONDS = 5.0
"""Between two calls for help."""
MAX_INVITED = 32
"""Workers that are called at once."""
POLL_SECONDS = 0.1
"""Between two looks at steps that other workers do."""


class DistributedPasses:
    """What LocalPasses are to one process.

    The conductor does steps too: a single worker will do, and so will one whose broker is gone. A pass is known by its
    number in its epoch: the conductor's next turn finds those that are done, and continues with the one that is not.
    """

    def __init__(
        self,
        fleet: Fleet,
        throttle: Throttle,
        progress: Progress,
        tick: Callable[[], None],
        beat: Callable[[], None],
        *,
        job: Job,
        invite: Callable[[int], None],
        rest: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
    ):
        """`job`: claimed by this conductor. `invite`: calls this many workers. `rest`: as for a Conductor."""
        self._fleet, self._progress, self._tick, self._beat = fleet, progress, tick, beat
        self._job, self._invite, self._rest, self._sleep = job, invite, rest, sleep
        self._epoch, self._passes = fleet.view.epoch, 0
        self.refused: set[str] = set()
        self.away: set[str] = set()

    def copy(self, sources: Sequence[str], retire: bool = False, share: bool = False) -> Moved:
        steps = self._pass("copy", sources, {"retire": retire, "share": share})
        return sum((Moved(*step.checkpoint["result"]) for step in steps), Moved())

    def sweep(self, nodes: Sequence[str], wanted: Wanted) -> None:
        self._pass("sweep", nodes, {"wanted": wanted.__name__})

    def _pass(self, verb: str, nodes: Sequence[str], terms: dict[str, Any]) -> list[Step]:
        """The steps of a pass, once they are done. Raises Conflict if the fleet has moved on."""
        if not nodes:
            return []
        self._passes += 1
        began, name = self._fleet.clock(), f"e{self._epoch}/{verb}/{self._passes}"
        self._tick()
        self._plan(name, nodes, terms | {"verb": verb, "epoch": self._epoch, "low": 0, "high": SLOTS - 1})
        ours = Step.objects.filter(job=self._job, name__startswith=f"{name}@")
        before = _sum(Step.objects.filter(job=self._job).exclude(name__startswith=f"{name}@"))
        seconds, invited_at = self._progress.moving_seconds, float("-inf")
        while True:
            steps = list(ours.all())
            waiting = [step for step in steps if step.state == "waiting"]
            self._count(before, steps)
            if verb == "copy":
                self._progress.pass_seconds = self._fleet.clock() - began
                self._progress.moving_seconds = seconds + self._progress.pass_seconds
            if any(step.state == "failed" for step in steps):
                self._mend(ours)
            if all(step.state == "done" for step in steps):
                break
            self._tick()
            if self._passes == 1:
                # Later ones are short, and what is measured between them is how long keys can't be moved.
                self._rest()
            if waiting and self._fleet.clock() >= invited_at + INVITE_SECONDS:
                invited_at = self._fleet.clock()
                self._invite(min(len(waiting), MAX_INVITED))
            if held := take([step for step in steps if step.state in ("waiting", "running")]):
                # Whose claim it was that was lost, this step's or this conductor's, the next tick says.
                with suppress(ClaimLost):
                    do(held, self._fleet, self._tick, self._beat)
            else:
                self._sleep(POLL_SECONDS)
        self.away = {step.terms["node"] for step in steps if step.checkpoint["away"]}
        self.refused |= {step.terms["node"] for step in steps if step.checkpoint["refused"]}
        notes = dict.fromkeys(note for step in steps for note in step.checkpoint["notes"])
        for note in notes:
            self._progress.note(note)
        return steps

    def _mend(self, ours: Any) -> None:
        """Steps were given up: as the fleet has moved on, or by a conductor that did not know that its time is up."""
        if self._fleet.proven_view().epoch != self._epoch:
            raise Conflict("another conductor has moved the fleet on", epoch=self._fleet.view.epoch)
        ours.filter(state="failed").update(state="waiting")

    def _plan(self, name: str, nodes: Sequence[str], terms: dict[str, Any]) -> None:
        steps = [
            Step(job=self._job, name=f"{name}@{node}/0", terms=terms | {"node": node}, heard=now()) for node in nodes
        ]
        Step.objects.bulk_create(steps, ignore_conflicts=True)

    def _count(self, before: dict[str, int], steps: Sequence[Step]) -> None:
        """The counts of all steps there are, as those of the job."""
        progress, here = self._progress, _sum(steps)
        for count in ("moved", "bytes", "gone", "swept"):
            setattr(progress, count, before[count] + here[count])
        if steps and steps[0].terms["verb"] == "copy":
            progress.failed = here["failed"]  # What a pass leaves, the next one may move.
        listed = [step for step in steps if step.checkpoint.get("listed")]
        progress.done = here["done"]
        progress.listed = here["listed"] * len(steps) // max(1, len(listed))
        done, running = (sum(step.state == state for step in steps) for state in ("done", "running"))
        progress.doing = f"{done} of {len(steps)} steps done, {running} at work"


def drop(job: Job) -> None:
    """Give up the open steps of a job; a worker that is at one finds out."""
    for step in open_steps(job):
        Step.objects.filter(pk=step.pk).update(state="failed", token=step.token + 1, holder="")


def _sum(steps: Any) -> dict[str, int]:
    return {count: sum(step.checkpoint.get(count, 0) for step in steps) for count in COUNTS}
