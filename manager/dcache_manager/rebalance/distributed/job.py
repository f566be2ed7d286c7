"""A rebalance as a job for Celery workers: to start one, and to look after it from outside."""

import time
from typing import TYPE_CHECKING, Any

from django.utils.timezone import now

from django_dcache.errors import ConfigurationError, Conflict

from ...cli.exit_codes import JobFailed, TimedOut, code_of
from ...cli.options import Choices
from ...jobs.database_journal import installed

if TYPE_CHECKING:
    from ...inspection.target import Target
    from ...jobs.progress import Progress
    from ...models import Job
    from ..plan import Plan

PAUSE = 0.25
"""Seconds between two looks."""
UNHEARD = 10.0
"""Seconds after which somebody should know that no worker has begun."""


def start(choices: Choices, target: "Target", made: "Plan", max_rate: float | None) -> "Job":
    """Write down what is to be done, and send for a worker. Raises ConfigurationError, Conflict."""
    require()
    import secrets

    from ...models import Job
    from ...settings import own_queue
    from .leader import KIND, send, to_json

    fleet = target.configuration.fleet
    if other := leading(fleet):
        raise Conflict(f"job {other.name} is leading this fleet", epoch=made.epoch)
    terms = {
        "alias": target.alias,
        "queue": own_queue(),
        "desired": to_json(made.desired),
        "epoch": made.epoch,
        "max_rate": max_rate,
    }
    job = Job.objects.create(
        name=secrets.token_hex(4), kind=KIND, fleet=fleet, state="waiting", terms=terms, heard=now()
    )
    if not send(job):
        choices.note(f"The broker does not answer; job {job.name} begins when a worker tends to it (dcache.tend).")
    return job


def require() -> None:
    """Raises ConfigurationError where Celery can't run a job."""
    from celery import current_app

    if not installed():
        raise ConfigurationError(
            "a job for Celery is kept in the project's database: add dcache_manager to INSTALLED_APPS, and run migrate"
        )
    if not (current_app.conf.broker_url or current_app.conf.task_always_eager):
        raise ConfigurationError(
            "no Celery application with a broker; import the project's own in the package of its settings"
        )


def leading(fleet: str) -> "Job | None":
    """The job that leads this fleet, or will, though nobody may be at it at this moment."""
    if not installed():
        return None
    from ...jobs.row_lease import PATIENCE
    from ...models import Job
    from .leader import KIND, OVER

    lately = now() - PATIENCE
    return Job.objects.filter(kind=KIND, fleet=fleet, heard__gt=lately).exclude(state__in=OVER).first()


def follow(job: "Job", choices: Choices, seconds: float | None) -> "Progress":
    """Show how it goes on until it is over; its last report. Raises Cancelled, JobFailed, TimedOut."""
    from ...cli.progress_bar import reporter
    from ...jobs.progress import Progress
    from ..conductor import Cancelled
    from .leader import OVER

    began, told = time.monotonic(), False
    with reporter(choices) as report:
        while True:
            job.refresh_from_db()
            progress = Progress.from_json(job.progress) or Progress(job.name, "", "waiting")
            if job.state in OVER:
                break
            report(progress)
            waited = time.monotonic() - began
            if job.state == "waiting" and waited > UNHEARD and not told:
                told = True
                choices.note(f"No worker has begun yet; is there one for the queue {job.terms['queue']}?")
            if seconds is not None and waited >= seconds:
                raise TimedOut(f"job {job.name}")
            time.sleep(PAUSE)
    if job.state == "cancelled":
        raise Cancelled(epoch=progress.epoch)
    if job.state == "failed":
        raise JobFailed(progress.doing, code_of(progress.doing.partition(":")[0]))
    return progress


def nudge(job: "Job") -> None:
    """Have a worker look at it now. If one is at it, nothing happens."""
    from .leader import send

    send(job, 0)


def cancel(job: "Job", choices: Choices, target: "Target") -> None:
    """Ask whoever leads it to go back; one that nobody has begun ends at once."""
    from ...jobs.row_lease import claim
    from ..conductor import control
    from .leader import OVER

    if job.state in OVER:
        raise ConfigurationError(f"job {job.name} is over: {job.state}")
    if not job.progress and (held := claim(job)):
        held.leave(state="cancelled", progress=_unbegun(job).to_json())
        return
    control(target.fleet(), "cancel")
    nudge(job)
    choices.note(f"Job {job.name} was asked to go back.")


def retry(job: "Job", choices: Choices, target: "Target") -> None:
    """Send for workers again, from where it failed or was cancelled. Raises ConfigurationError, Conflict."""
    from ...jobs.row_lease import claim
    from .leader import OVER, send

    require()
    if job.state not in OVER or job.state == "done":
        raise ConfigurationError(f"job {job.name} is {job.state}")
    if other := leading(job.fleet):
        raise Conflict(f"job {other.name} is leading this fleet")
    held = claim(job)
    if held is None:
        raise Conflict(f"somebody is at job {job.name}")
    terms: dict[str, Any] = {name: value for name, value in job.terms.items() if name != "back"}
    job.steps.all().delete()
    held.leave(state="waiting", progress={}, terms=terms | {"epoch": None})
    if not send(job):
        choices.note("The broker does not answer; the job begins when a worker tends to it (dcache.tend).")


def _unbegun(job: "Job") -> "Progress":
    from ...jobs.progress import Progress

    return Progress(job.name, "", "cancelled", started=job.created.timestamp(), updated=time.time())
