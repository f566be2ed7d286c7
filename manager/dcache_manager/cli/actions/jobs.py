"""`jobs`: what the journal tells, and steering jobs of Celery workers by their kind."""

from typing import TYPE_CHECKING

from ...formatting import age, count
from ...inspection.target import Target
from ...jobs import history
from ...rebalance import service
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, write
from . import rebalance

if TYPE_CHECKING:
    from ...models import Job

_columns = [
    Column("at", "AGE", age, right=True),
    Column("event", "EVENT"),
    Column("state", "STATE"),
    Column("phase", "PHASE"),
    Column("epoch", "EPOCH", right=True),
    Column("moved", "MOVED", count, right=True),
    Column("failed", "FAILED", count, right=True),
]
job_columns = [Column("job", "JOB"), *(column for column in _columns if column.field != "event"), Column("owner", "BY")]
event_columns = [*_columns, Column("doing", "DOING")]


def list_jobs(choices: Choices, target: Target, limit: int) -> int:
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
    if job.kind == "warm":
        from ...warming import service as warming  # Late, as above.

        warming.cancel(job)
    else:
        service.cancel_job(target, job, choices.note)
    return _answer(choices, target, job)


def retry(choices: Choices, target: Target, name: str) -> int:
    job = history.find_job(target.name, name)
    if job.kind == "warm":
        from . import warming  # Late, as above.

        warming.retry_by_workers(choices, job)
    else:
        service.retry(job, choices.note)
    return _answer(choices, target, job)


def _answer(choices: Choices, target: Target, job: "Job") -> int:
    write(Answer("jobs", [history.last_word(job)], alias=target.alias), job_columns, choices)
    return Exit.OK
