"""Looking at a resize that somebody leads, and telling them what to do; or leading it to its end, if nobody does."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..cli.exit_codes import Exit
from ..cli.options import Choices
from ..jobs.progress import Progress

if TYPE_CHECKING:
    from ..inspection.fleet_report import Sighting
    from ..models import Job

PAUSE = 0.25
"""Seconds between two looks."""

_words = {"run": "go on", "cancel": "go back", "pause": "stand still"}


def show(choices: Choices, sighting: "Sighting") -> int:
    """Answer with how far the resize has come."""
    from ..cli.output import Answer, write
    from ..cli.progress_bar import describe

    item = state(sighting, job_of(choices, sighting))
    answer = Answer.about(sighting, "rebalance", [item])
    if sighting.progress:
        answer.title = describe(replace(sighting.progress, state=item["state"]))
    else:
        answer.title = f"{item['state']}: epoch {answer.epoch}, {answer.phase}"
    write(answer, [], choices)
    return Exit.PARTIAL if answer.errors or item["state"] == "interrupted" else Exit.OK


def job_of(choices: Choices, sighting: "Sighting") -> "Job | None":
    """The job for Celery workers that leads this fleet, also while none of them is at it."""
    from .distributed.job import leading

    return leading(sighting.configuration.fleet) if choices.settings else None


def state(sighting: "Sighting", job: "Job | None" = None) -> dict[str, Any]:
    """The last report, as far as it is true: what a conductor that was killed said last is not."""
    progress, moving = _said(sighting, job), sighting.topology.target is not None
    conductor = f"job/{job.name}" if job else sighting.conductor
    item: dict[str, Any] = progress.to_json() if progress else {}
    said = item.get("state", "idle")
    if job:
        said = job.state
    elif moving and not conductor:
        said = "interrupted"
    elif moving and said in ("idle", "done", "cancelled", "failed"):
        said = "running"
    elif not moving and not conductor and said not in ("done", "cancelled", "failed"):
        said = "idle"
    return item | {"state": said, "phase": str(sighting.topology.phase), "conductor": conductor}


def watch(choices: Choices) -> int:
    """Show how it goes on, whoever leads it, until nobody does; then answer as `show`."""
    from django_dcache.flows.resize import LEASE_TTL

    from ..cli.progress_bar import reporter
    from ..inspection.fleet_report import look
    from ..inspection.target import find

    target = find(choices)
    deserted = None
    with reporter(choices) as report:
        while True:
            sighting = look(target, choices.timeout, resize=True)
            job = job_of(choices, sighting)
            if job or sighting.conductor:
                deserted = None
            elif sighting.topology.target is None:
                break
            else:
                # The next conductor, or the next slice, may be on its way.
                deserted = deserted or time.monotonic()
                if time.monotonic() - deserted > LEASE_TTL:
                    break
            if progress := _said(sighting, job):
                report(progress)
            time.sleep(PAUSE)
    return show(choices, sighting)


def _said(sighting: "Sighting", job: "Job | None") -> Progress | None:
    """The last report: a job's own, or the one on the keepers."""
    return (Progress.from_json(job.progress) if job else None) or sighting.progress


def steer(choices: Choices, wish: str) -> int:
    """Tell the conductor to "run", "pause" or "cancel". Without one, carry on or go back from here."""
    from django_dcache.errors import Conflict

    from ..inspection.fleet_report import look
    from ..inspection.target import find
    from .conductor import control
    from .distributed import job as rebalance_job
    from .service import conduct

    target = find(choices)
    fleet = target.fleet()
    sighting = look(target, choices.timeout, resize=True)
    layout = sighting.topology.target
    if job := job_of(choices, sighting):
        if wish == "cancel":
            rebalance_job.cancel(job, choices, target)
        else:
            control(fleet, wish)
            rebalance_job.nudge(job)
            choices.note(f"Job {job.name} leads this resize, and was asked to {_words[wish]}.")
        return show(choices, look(target, choices.timeout, resize=True))
    if layout is None and not sighting.conductor:
        choices.note("Nothing is being moved.")
        return show(choices, sighting)
    if sighting.conductor:
        control(fleet, wish)
    if layout is not None and wish != "pause":
        try:
            # A conductor that was killed may still seem to hold its lease: this waits until it has run out.
            conduct(choices, target, (lambda c: c.cancel()) if wish == "cancel" else (lambda c: c.run(layout)))
        except Conflict:
            choices.note(f"{sighting.conductor} leads this resize, and was asked to {_words[wish]}.")
    return show(choices, look(target, choices.timeout, resize=True))
