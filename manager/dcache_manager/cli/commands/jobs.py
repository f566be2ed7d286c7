"""dcache-admin jobs: what became of resizes and of runs of warmers, and steering those that Celery workers lead."""

from collections.abc import Callable
from typing import Any

import click

from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices


@click.group("jobs", cls=Noun)
def command() -> None:
    """What the journal says of resizes and of runs of warmers.

    The journal is in the project's database if dcache_manager is installed and migrated there, else in a file on the
    machine where a resize ran.
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N jobs.")
@pass_choices
def list_(choices: Choices, limit: int) -> int:
    """The last jobs, the newest first."""
    from ...inspection.target import find
    from ...jobs.history import job_columns, jobs
    from ..output import Answer, write

    target = find(choices)
    items = jobs(target)[:limit]
    answer = Answer("jobs", items, alias=target.alias, title="" if items else "There were no jobs.")
    write(answer, job_columns, choices)
    return Exit.OK


@command.command("show")
@click.argument("job")
@pass_choices
def show(choices: Choices, job: str) -> int:
    """Each event of one job, the oldest first. JOB may be the beginning of its name."""
    from ...inspection.target import find
    from ...jobs.history import event_columns, events
    from ..output import Answer, write

    target = find(choices)
    write(Answer("job", events(target, job), alias=target.alias), event_columns, choices)
    return Exit.OK


@command.command("watch")
@click.argument("job")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="Watch no longer; the job goes on (exit 124).")
@pass_choices
def watch(choices: Choices, job: str, wait_timeout: float | None) -> int:
    """Show how a job for Celery goes on until it is over.

    Exit as the job does: 0 if it was done, else 1 or what the error calls for.
    """
    return _act(choices, job, lambda verbs, found, target: verbs.follow(found, choices, wait_timeout))


@command.command("cancel")
@click.argument("job")
@pass_choices
def cancel(choices: Choices, job: str) -> int:
    """Ask the workers at a job to end it early; a rebalance goes back, a warmer stops."""
    return _act(choices, job, lambda verbs, found, target: verbs.cancel(found, choices, target))


@command.command("retry")
@click.argument("job")
@pass_choices
def retry(choices: Choices, job: str) -> int:
    """Send for workers again for a job that failed or was cancelled; for what failed in the run of a warmer."""
    return _act(choices, job, lambda verbs, found, target: verbs.retry(found, choices, target))


def _act(choices: Choices, job: str, act: Callable[..., Any]) -> int:
    from ...inspection.target import find
    from ...jobs.actions import verbs
    from ...jobs.history import find_job, job_columns, last_word
    from ..output import Answer, write

    target = find(choices)
    found = find_job(target, job)
    act(verbs(found), found, target)
    write(Answer("jobs", [last_word(found)], alias=target.alias), job_columns, choices)
    return Exit.OK
