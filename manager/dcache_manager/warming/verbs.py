"""What `dcache-admin jobs` does with the run of a warmer."""

import time

from django_dcache.errors import ConfigurationError

from ..cli.exit_codes import Exit, JobFailed, TimedOut
from ..cli.options import Choices
from ..inspection.target import Target
from ..models import Job
from . import distributed as relay
from . import runs as jobs
from .service import POLL, describe
from .worker_turn import counted


def follow(job: Job, choices: Choices, seconds: float | None) -> None:
    """Say how it goes on until it is over. Raises JobFailed, TimedOut."""
    began, said = time.monotonic(), ""
    while True:
        job.refresh_from_db()
        if (line := describe(job, counted(job))) != said:
            said = line
            choices.note(line)
        if job.state not in jobs.OPEN:
            break
        if seconds is not None and time.monotonic() - began >= seconds:
            raise TimedOut(f"job {job.name}")
        time.sleep(POLL)
    if job.state != "done":
        raise JobFailed(said, Exit.FAILED if job.state == "failed" else Exit.PARTIAL)


def cancel(job: Job, choices: Choices, target: Target) -> None:
    """Stop it at the next item. Raises ConfigurationError if it is over."""
    if job.state not in jobs.OPEN:
        raise ConfigurationError(f"job {job.name} is over: {job.state}")
    jobs.cancel(job)


def retry(job: Job, choices: Choices, target: Target) -> None:
    """Send for a worker for what failed, and nothing else. Raises ConfigurationError, BrokerAway."""
    again = jobs.retry(job)
    relay.send(again.terms["warmer"], again.name)
    if again.pk != job.pk:
        choices.note(f"Job {again.name} tries again what failed in {job.name}.")
