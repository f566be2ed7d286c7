"""Runs of warmers from a terminal: begun, followed, and what became of them."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import click

from ...errors import BrokerAway, JobFailed, JobIncomplete
from ...formatting import age, count, names, printable, span
from ...messaging import publisher
from ...models import Job
from ...settings import own_queue
from ...warming import hot as hot_keys
from ...warming import registry, runs, service
from ...warming.counts import MAX_FAILURES, ItemCounts
from ...warming.registry import Warmer
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, write
from ..progress_bar import LINE_SECONDS
from ..runner_options import RunnerOptions
from ..watching import NO_WORKER_SECONDS, TEND_SECONDS, follow

SHOWN_FAILURES = 20
"""That are shown to people; with --json all of them are."""

run_columns = [
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
warmer_columns = [
    Column("name", "NAME"),
    Column("alias", "CACHE"),
    Column("every", "EVERY", span, right=True),
    Column("tags", "TAGS", names),
    Column("began", "LAST RUN", age, right=True),
    Column("state", "STATE"),
    Column("place", "WHERE"),
]


def list_warmers(choices: Choices, alias: str, tags: Sequence[str]) -> int:
    broken = registry.broken_modules()
    items = [service.warmer_row(warmer) for warmer in registry.warmers(tags)]
    title = "" if items else "There are no warmers: none of the installed apps has a warmers.py with one."
    errors = [{"error": "NotImported", "message": f"{module}: {why}"} for module, why in broken.items()]
    write(Answer("warmers", items, errors, alias, title=title), warmer_columns, choices)
    return Exit.PARTIAL if errors else Exit.OK


def run(
    choices: Choices,
    alias: str,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    rate: float | None,
    concurrency: int | None,
    options: RunnerOptions,
) -> int:
    chosen = _chosen(names, tags) if names or tags else []
    if not chosen:
        raise click.UsageError("name a warmer, or a --tag that one has; `warm list` shows them")
    begun = [partial(service.begin, warmer, rate=rate, concurrency=concurrency) for warmer in chosen]
    return drive(choices, begun, alias, options)


def status(choices: Choices, alias: str, job: str | None, limit: int) -> int:
    if job:
        return answer(choices, [runs.named(job)], alias)
    items = [service.run_row(found) for found in runs.runs()[:limit]]
    title = "" if items else "No warmer was run."
    write(Answer("warm", items, alias=alias, title=title), run_columns, choices)
    return Exit.OK


def retry(choices: Choices, alias: str, job: str, options: RunnerOptions) -> int:
    return drive(choices, [partial(runs.retry, runs.named(job))], alias, options)


def hot(
    choices: Choices,
    alias: str,
    names: tuple[str, ...],
    top: int,
    version: int | None,
    prefix: str | None,
    options: RunnerOptions,
) -> int:
    chosen = {warmer.name: warmer for warmer in _chosen(names, ()) if warmer.alias == alias}
    if names and len(chosen) < len(names):
        raise click.UsageError(f"not all of these warmers fill cache {alias!r}; `warm list` shows which do")
    found = hot_keys.find_hot(chosen.values(), alias, top, prefix, version)
    choices.note(f"{len(found.names)} hot keys, {found.unknown} of which no warmer yields.")
    for node in found.silent:
        choices.note(f"{node} could not be asked for its keys.")
    begun = [partial(service.begin, chosen[name], only=items, hot=len(items)) for name, items in found.items.items()]
    more = {"hot": len(found.names), "unknown": found.unknown, "silent": found.silent}
    return max(drive(choices, begun, alias, options, **more), Exit.PARTIAL if found.silent else Exit.OK)


def drive(choices: Choices, begun: Iterable[Callable[[], Job]], alias: str, options: RunnerOptions, **more: Any) -> int:
    """Begin runs, have them done, and answer with what became of them. Raises Conflict, BrokerAway, TimedOut."""
    done: list[Job] = []
    if options.app:
        publisher.use_app(options.app)
    for begin in begun:
        done.append(begin())
        if options.celery:
            service.send(done[-1])
        else:
            _run_here(choices, done[-1])
    if options.celery and options.wait:
        follow_all(choices, done, options.wait_timeout)
    for job in done:
        job.refresh_from_db()
    return answer(choices, done, alias, **more)


def _run_here(choices: Choices, job: Job) -> None:
    try:
        service.run(job, _Lines(choices))
    except KeyboardInterrupt:
        choices.note(f"Interrupted. `warm retry {job.name}` continues from here.")
        raise


def follow_all(choices: Choices, begun: list[Job], seconds: float | None) -> None:
    """Until all are over. Raises TimedOut."""
    lines = {job.pk: _Lines(choices) for job in begun}
    left, tending = begun, _Tending(choices)

    def look() -> list[Job]:
        nonlocal left
        for job in left:
            job.refresh_from_db()
        left = [job for job in left if not service.is_over(job)]
        tending(left)
        return left

    def show(jobs: list[Job]) -> None:
        for job in jobs:
            lines[job.pk](job, service.counts(job))

    names = ", ".join(f"job {job.name}" for job in begun)
    try:
        follow(look, lambda: not left, show, seconds, names)
    except KeyboardInterrupt:
        choices.note(f"Workers continue: `warm status` shows {names}, `jobs cancel` stops it.")
        raise


def follow_run(choices: Choices, job: Job, seconds: float | None) -> None:
    """Show a run, a line whenever there is news, until it is over. Raises JobFailed, JobIncomplete, TimedOut."""
    said, tending = "", _Tending(choices)

    def look() -> str:
        job.refresh_from_db()
        tending([job])
        return describe(job, service.counts(job))

    def show(line: str) -> None:
        nonlocal said
        if line != said:
            choices.note(line)
        said = line

    follow(look, lambda: service.is_over(job), show, seconds, f"job {job.name}")
    show(look())
    if job.state == "failed":
        raise JobFailed(said)
    if job.state != "done":
        raise JobIncomplete(said)


def answer(choices: Choices, done: list[Job], alias: str, **more: Any) -> int:
    """What became of runs, with the reason of every failure. Exit 3 if there are any, 1 if a warmer itself failed."""
    failed = [(job, name, reason) for job in done for name, reason in service.failures(job).items()]
    errors = [_error(job, name, reason) for job, name, reason in failed]
    said = Answer("warm", [service.run_row(job) for job in done], errors, alias, more=more)
    said.title = "\n".join(describe(job, service.counts(job)) for job in done)
    write(said, run_columns, choices, errors=False)
    for job, name, reason in failed[:SHOWN_FAILURES]:
        choices.note(printable(f"{job.terms['warmer']}: {name}: {reason}"))
    if len(failed) > SHOWN_FAILURES:
        choices.note(f"… and {count(len(failed) - SHOWN_FAILURES)} more: warm status {failed[-1][0].name} --json")
    for job in done:
        for note in job.progress.get("notes", []):
            choices.note(printable(f"{job.terms['warmer']}: {note}"))
        if job.progress.get("failed", 0) > MAX_FAILURES:
            choices.note(f"Only the first {count(MAX_FAILURES)} failures of {job.name} are kept, for `warm retry` too.")
    states = {job.state for job in done}
    if "failed" in states:
        return Exit.FAILED
    return Exit.PARTIAL if states & {"partial", "cancelled"} else Exit.OK


def describe(job: Job, counts: ItemCounts) -> str:
    """How far a run has come, in one line."""
    parts = [f"{count(counts.loaded)} loaded", f"{count(counts.present)} there already"]
    parts += [f"{count(counts.failed)} failed"] if counts.failed else []
    return printable(f"{job.terms['warmer']}: {job.state}, {', '.join(parts)}, {count(counts.rate)} items/s")


def _error(job: Job, name: str, reason: str) -> dict[str, Any]:
    kind, _, message = reason.partition(": ")
    return {"error": kind, "message": message, "item": name, "warmer": job.terms["warmer"], "job": job.name}


def _chosen(names: tuple[str, ...], tags: tuple[str, ...]) -> list[Warmer]:
    """Those named and those with one of the tags; all, if none is asked for. Raises ConfigurationError."""
    if not names:
        return registry.warmers(tags)
    found = [registry.find(name) for name in dict.fromkeys(names)]
    return found + [warmer for warmer in registry.warmers(tags) if tags and warmer not in found]


class _Tending:
    """Sees to runs that are watched, as beat would: their worker may have been killed, or none may be there."""

    def __init__(self, choices: Choices):
        self._choices, self._told = choices, False
        self._began = self._tended_at = time.monotonic()

    def __call__(self, left: list[Job]) -> None:
        now = time.monotonic()
        if now - self._tended_at > TEND_SECONDS:
            self._tended_at = now
            for job in left:
                with suppress(BrokerAway):  # It is tried again.
                    service.tend(job)
        if not self._told and now - self._began > NO_WORKER_SECONDS and any(not job.progress for job in left):
            self._told = True
            self._choices.note(f"No worker has begun yet; is there one for the queue {own_queue()}?")


class _Lines:
    """Says how far a run has come, every LINE_SECONDS."""

    def __init__(self, choices: Choices):
        self._choices, self._next = choices, time.monotonic() + LINE_SECONDS

    def __call__(self, job: Job, counts: ItemCounts) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            self._choices.note(describe(job, counts))
