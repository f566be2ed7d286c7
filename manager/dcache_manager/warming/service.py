"""Runs of warmers from the command line: done here, or by workers while we look on; and what is answered."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from django_dcache.errors import Conflict

from ..cli.exit_codes import Exit
from ..cli.options import Choices
from ..cli.output import Answer, Column, age, count, names, printable, span, write
from ..cli.progress_bar import PAUSE
from ..models import Job
from . import distributed as relay
from . import runs as jobs
from .counts import MOST_FAILURES, Tally
from .registry import Warmer
from .runs import OPEN
from .worker_turn import BUSY, counted

POLL = 0.5
SHOWN = 20
"""Failures that are shown to people; with --json all of them are."""


def drive(
    choices: Choices, begun: Iterable[Callable[[], Job]], alias: str, runner: str, wait: bool, **more: Any
) -> int:
    """Begin runs, have them done, and answer with what became of them. Raises Conflict, BrokerAway."""
    done: list[Job] = []
    if runner == "celery":
        for begin in begun:
            done.append(begin())
            relay.send(done[-1].terms["warmer"], done[-1].name)
        if wait:
            _look_on(choices, done)
    else:
        for begin in begun:
            job = begin()
            try:
                state = jobs.work(job.name, report=_Lines(choices))
            except KeyboardInterrupt:
                choices.note(f"Interrupted. `warm retry {job.name}` goes on from here.")
                raise
            if state == BUSY:
                raise Conflict(f"{job.holder} is at run {job.name} of {job.terms['warmer']}")
            done.append(job)
    for job in done:
        job.refresh_from_db()
    return answer(choices, done, alias, **more)


def answer(choices: Choices, done: list[Job], alias: str, **more: Any) -> int:
    """What became of runs, with the reason of every failure. Exit 3 if there are any, 1 if a warmer itself failed."""
    failed = [(job, name, reason) for job in done for name, reason in jobs.failures(job).items()]
    errors = [_error(job, name, reason) for job, name, reason in failed]
    said = Answer("warm", [item(job) for job in done], errors, alias, more=more)
    said.title = "\n".join(describe(job, counted(job)) for job in done)
    write(said, columns, choices, errors=False)
    for job, name, reason in failed[:SHOWN]:
        choices.note(printable(f"{job.terms['warmer']}: {name}: {reason}"))
    if len(failed) > SHOWN:
        choices.note(f"… and {count(len(failed) - SHOWN)} more: warm status {failed[-1][0].name} --json")
    for job in done:
        for note in job.progress.get("notes", []):
            choices.note(printable(f"{job.terms['warmer']}: {note}"))
        if job.progress.get("failed", 0) > MOST_FAILURES:
            choices.note(
                f"Only the first {count(MOST_FAILURES)} failures of {job.name} are known, to `warm retry` too."
            )
    states = {job.state for job in done}
    if "failed" in states:
        return Exit.FAILED
    return Exit.PARTIAL if states & {"partial", "cancelled"} else Exit.OK


def item(job: Job) -> dict[str, Any]:
    """A run, as people and programs see it."""
    counts = {name: job.progress.get(name, 0) for name in ("loaded", "present", "failed", "seconds", "rate")}
    return {
        "job": job.name,
        "warmer": job.terms["warmer"],
        "state": job.state,
        "began": job.created.isoformat(timespec="seconds"),
        **counts,
        "retry_of": job.terms.get("retry_of"),
    }


def known(warmer: Warmer) -> dict[str, Any]:
    """A warmer, as people and programs see it."""
    last = jobs.last(warmer)
    return {
        "name": warmer.name,
        "alias": warmer.alias,
        "every": warmer.every,
        "tags": list(warmer.tags),
        "place": warmer.place,
        "last": last and last.name,
        "began": last and last.created.isoformat(timespec="seconds"),
        "state": last and last.state,
    }


def describe(job: Job, tally: Tally) -> str:
    """How far a run has come, in one line."""
    parts = [f"{count(tally.loaded)} loaded", f"{count(tally.present)} there already"]
    parts += [f"{count(tally.failed)} failed"] if tally.failed else []
    return printable(f"{job.terms['warmer']}: {job.state}, {', '.join(parts)}, {count(tally.rate)} items/s")


def _error(job: Job, name: str, reason: str) -> dict[str, Any]:
    kind, _, message = reason.partition(": ")
    return {"error": kind, "message": message, "item": name, "warmer": job.terms["warmer"], "job": job.name}


class _Lines:
    """Says how far a run has come, now and then."""

    def __init__(self, choices: Choices):
        self._choices, self._next = choices, time.monotonic() + PAUSE

    def __call__(self, job: Job, tally: Tally) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PAUSE
            self._choices.note(describe(job, tally))


def _look_on(choices: Choices, begun: list[Job]) -> None:
    lines = {job.pk: _Lines(choices) for job in begun}
    while left := [job for job in begun if job.state in OPEN]:
        time.sleep(POLL)
        for job in left:
            job.refresh_from_db()
            lines[job.pk](job, counted(job))


columns = [
    Column("job", "JOB"),
    Column("warmer", "WARMER"),
    Column("state", "STATE"),
    Column("began", "AGE", age, right=True),
    Column("loaded", "LOADED", count, right=True),
    Column("present", "PRESENT", count, right=True),
    Column("failed", "FAILED", count, right=True),
    Column("rate", "ITEMS/S", count, right=True),
    Column("retry_of", "RETRY OF"),
]
known_columns = [
    Column("name", "NAME"),
    Column("alias", "CACHE"),
    Column("every", "EVERY", span, right=True),
    Column("tags", "TAGS", names),
    Column("began", "LAST RUN", age, right=True),
    Column("state", "STATE"),
    Column("place", "WHERE"),
]
