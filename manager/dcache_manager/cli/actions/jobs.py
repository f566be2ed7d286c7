"""`jobs`: what the journal tells, and steering jobs of Celery workers by their kind."""

from typing import TYPE_CHECKING

from ... import steering
from ...errors import NoProject
from ...formatting import age, clock, count
from ...inspection.target import Target
from ...jobs import history
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, write
from . import rebalance

if TYPE_CHECKING:
    from ...models import Job

_counts = [Column("moved", "MOVED", count, right=True, drop=1), Column("failed", "FAILED", count, right=True, drop=2)]
_where = [Column("state", "STATE"), Column("phase", "PHASE", drop=3), Column("epoch", "EPOCH", right=True, drop=4)]
job_columns = [
    Column("job", "JOB"),
    Column("kind", "KIND", drop=5),
    Column("at", "AT", clock, drop=6),
    Column("at", "AGE", age, right=True),
    *_where,
    *_counts,
    Column("what", "WHAT"),
    Column("owner", "BY", drop=7),
]
event_columns = [
    Column("at", "AT", clock),
    Column("event", "EVENT"),
    *_where,
    *_counts,
    Column("doing", "DOING"),
]


def list_jobs(choices: Choices, target: Target, limit: int) -> int:
    if target.wanted is None:
        raise NoProject("the journal is there, and not on the nodes")
    items = history.jobs(target.name)[:limit]
    answer = Answer("jobs", items, alias=target.alias, title="" if items else "There were no jobs.")
    write(answer, job_columns, choices)
    return Exit.OK


def show(choices: Choices, target: Target, name: str) -> int:
    write(Answer("job", history.events(target.name, name), alias=target.alias), event_columns, choices)
    return Exit.OK


def watch(choices: Choices, target: Target, name: str, seconds: float | None) -> int:
    job = history.find_job(target.name, name)
    if job.kind == "warm":
        from . import warming  # Late: only once a job was found there surely are models to import.

        warming.follow_run(choices, job, seconds)
    else:
        rebalance.follow_job(choices, job, seconds)
    return _answer(choices, target, job)


def cancel(choices: Choices, target: Target, name: str) -> int:
    job = history.find_job(target.name, name)
    steering.cancel(target, job, choices.note)
    return _answer(choices, target, job)


def retry(choices: Choices, target: Target, name: str) -> int:
    job = history.find_job(target.name, name)
    steering.retry(job, choices.note)
    return _answer(choices, target, job)


def _answer(choices: Choices, target: Target, job: "Job") -> int:
    write(Answer("jobs", [history.last_word(job)], alias=target.alias), job_columns, choices)
    return Exit.OK
