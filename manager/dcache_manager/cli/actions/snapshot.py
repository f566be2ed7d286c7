"""`warm dump` and `warm load`."""

import time
from pathlib import Path
from typing import Any

from django_dcache.errors import NodeFailure

from ...formatting import count, printable, size, span
from ...inspection.target import Target
from ...jobs.progress import Progress
from ...snapshot import service
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, write
from ..progress_bar import reporter


def dump(choices: Choices, target: Target, file: Path, prefix: str, max_rate: float | None) -> int:
    """Write a snapshot, and answer with what it holds."""
    began = time.monotonic()
    with reporter(choices, describe) as report:
        made = service.dump(target, file, prefix, max_rate, report)
    dumped = made.dumped
    item = {
        "file": str(file),
        "file_bytes": made.file_bytes,
        "items": dumped.items,
        "bytes": dumped.bytes,
        "gone": dumped.gone,
        "skipped": dumped.skipped,
        "failed": dumped.failed,
    } | _speed(dumped.items, began)
    title = f"{count(dumped.items)} items ({size(dumped.bytes)}) in {file} ({size(made.file_bytes)})"
    return _answer(choices, target, made, "warm_dump", item, title, dumped.silent, dumped.complete)


def load(choices: Choices, target: Target, file: Path, max_rate: float | None, restart: bool) -> int:
    """Verify a snapshot and store what it holds; answer with what became of it."""
    began = time.monotonic()
    try:
        made = service.load(
            target,
            file,
            max_rate,
            restart,
            choices.timeout,
            lambda: reporter(choices, describe),
            choices.note,
            choices.confirm,
        )
    except KeyboardInterrupt:
        choices.note("Interrupted. The next `warm load` of this file continues from here.")
        raise
    loaded = made.loaded
    item = {
        "items": made.contents.items,
        "stored": loaded.stored,
        "present": loaded.present,
        "expired": loaded.expired,
        "invalidated": loaded.invalidated,
        "refused": loaded.refused,
        "failed": loaded.failed,
        "bytes": loaded.bytes,
        "resumed": loaded.resumed,
        "log_entries": made.log_entries,
    } | _speed(loaded.stored + loaded.present, began)
    title = (
        f"{count(loaded.stored)} items stored ({size(loaded.bytes)}) at {count(item['rate'])} items/s; "
        f"{count(loaded.present)} were there, {count(loaded.expired)} have expired, "
        f"{count(loaded.invalidated)} were invalidated"
    )
    if loaded.refused:
        title += f", {count(loaded.refused)} were refused by their node"
    if loaded.failed:
        title += f", {count(loaded.failed)} failed: load again for these"
    if made.log_incomplete:
        choices.note("Not all of what was invalidated could be deleted again: a node did not answer.")
    return _answer(choices, target, made, "warm_load", item, title, loaded.failures, made.complete)


def describe(progress: Progress) -> str:
    """A report in one line."""
    parts = [progress.phase]
    if progress.listed:
        parts.append(f"{progress.done / progress.listed:.0%}")
    if progress.moved:
        parts.append(f"{count(progress.moved)} items ({size(progress.bytes)}) at {count(progress.rate)}/s")
    if progress.eta:
        parts.append(f"ETA {span(progress.eta)}")
    if progress.failed:
        parts.append(f"{count(progress.failed)} failed")
    return printable(", ".join(filter(None, (*parts, progress.doing))))


def _speed(items: int, began: float) -> dict[str, Any]:
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 3), "rate": round(items / seconds, 1)}


def _answer(
    choices: Choices,
    target: Target,
    made: service.DumpResult | service.LoadResult,
    subject: str,
    item: dict[str, Any],
    title: str,
    failures: dict[str, NodeFailure],
    complete: bool,
) -> int:
    errors = [
        {"node": node, "error": type(failure).__name__, "message": str(failure)} for node, failure in failures.items()
    ]
    write(Answer(subject, [item], errors, target.alias, made.epoch, made.phase, title), [], choices)
    return Exit.OK if complete else Exit.PARTIAL
