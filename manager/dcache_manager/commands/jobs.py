"""dcache-admin jobs: what became of resizes."""

import click

from ..exits import Exit
from ..options import Choices, Noun, pass_choices


@click.group("jobs", cls=Noun)
def command() -> None:
    """What the journal says of resizes, past and present.

    The journal is in the project's database if dcache_manager is installed and migrated there, else in a file on the
    machine where a resize ran.
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N jobs.")
@pass_choices
def list_(choices: Choices, limit: int) -> int:
    """The last jobs, the newest first."""
    from ..job_list import job_columns, jobs
    from ..render import Answer, write
    from ..target import find

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
    from ..job_list import event_columns, events
    from ..render import Answer, write
    from ..target import find

    target = find(choices)
    write(Answer("job", events(target, job), alias=target.alias), event_columns, choices)
    return Exit.OK
