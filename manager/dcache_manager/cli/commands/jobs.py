"""dcache-admin jobs: what became of resizes and of runs of warmers, and steering those that Celery workers do."""

import click

from .. import completion
from ..options import Choices, Noun, pass_choices
from ..project import find


@click.group("jobs", cls=Noun)
def command() -> None:
    """List and steer resizes and runs of warmers.

    The journal is in the project's database if dcache_manager is installed and migrated there, else in a file on the
    machine where a resize ran.
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N jobs.")
@pass_choices
def list_(choices: Choices, limit: int) -> int:
    """List the last jobs, the newest first."""
    target = find(choices)
    from ..actions import jobs  # Late: see actions.

    return jobs.list_jobs(choices, target, limit)


@command.command("show")
@click.argument("job", shell_complete=completion.jobs)
@pass_choices
def show(choices: Choices, job: str) -> int:
    """List each event of one job, the oldest first. JOB may be the beginning of its name."""
    target = find(choices)
    from ..actions import jobs  # Late: see actions.

    return jobs.show(choices, target, job)


@command.command("watch")
@click.argument("job", shell_complete=completion.jobs)
@click.option(
    "--wait-timeout", type=float, metavar="SECONDS", help="Stop watching after this; the job continues (exit 124)."
)
@pass_choices
def watch(choices: Choices, job: str, wait_timeout: float | None) -> int:
    """Follow a job of Celery workers until it is over.

    Exit as the job did: 0 if it was done, else 1 or the code of the error that ended it.
    """
    target = find(choices)
    from ..actions import jobs  # Late: see actions.

    return jobs.watch(choices, target, job, wait_timeout)


@command.command("cancel")
@click.argument("job", shell_complete=completion.jobs)
@pass_choices
def cancel(choices: Choices, job: str) -> int:
    """Ask the workers at a job to end it early: a rebalance goes back, a warmer stops."""
    target = find(choices)
    from ..actions import jobs  # Late: see actions.

    return jobs.cancel(choices, target, job)


@command.command("retry")
@click.argument("job", shell_complete=completion.jobs)
@pass_choices
def retry(choices: Choices, job: str) -> int:
    """Have workers continue a job that failed or was cancelled.

    Of the run of a warmer, they repeat what failed.
    """
    target = find(choices)
    from ..actions import jobs  # Late: see actions.

    return jobs.retry(choices, target, job)
