"""How a dump and a load are told of: while they run, and as their answers."""

import time
from typing import TYPE_CHECKING, Any

from django_dcache.errors import NodeFailure
from django_dcache.runtime.fleet import Fleet

from ..cli.exit_codes import Exit
from ..cli.options import Choices
from ..cli.output import Answer, count, printable, size, span, write
from ..inspection.target import Target
from ..jobs.progress import Progress
from .dump import Dumped
from .file import Contents, Writer
from .load import Loaded

if TYPE_CHECKING:
    from .recent_invalidations import Recent


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


def tell_dump(choices: Choices, target: Target, fleet: Fleet, writer: Writer, dumped: Dumped, began: float) -> int:
    """Answer with what a snapshot holds."""
    item = {
        "file": str(writer.path),
        "file_bytes": writer.bytes,
        "items": dumped.items,
        "bytes": dumped.bytes,
        "gone": dumped.gone,
        "skipped": dumped.skipped,
        "failed": dumped.failed,
    } | _speed(dumped.items, began)
    title = f"{count(dumped.items)} items ({size(dumped.bytes)}) in {writer.path} ({size(writer.bytes)})"
    return _answer(choices, target, fleet, "warm_dump", item, title, dumped.silent, dumped.complete)


def tell_load(
    choices: Choices,
    target: Target,
    fleet: Fleet,
    contents: Contents,
    loaded: Loaded,
    log: "Recent | None",
    began: float,
) -> int:
    """Answer with what became of a snapshot's items."""
    item = {
        "items": contents.items,
        "stored": loaded.stored,
        "present": loaded.present,
        "expired": loaded.expired,
        "invalidated": loaded.invalidated,
        "refused": loaded.refused,
        "failed": loaded.failed,
        "bytes": loaded.bytes,
        "resumed": loaded.resumed,
        "log_entries": len(log) if log else None,
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
    if log and log.incomplete:
        choices.note("Not all of what was invalidated could be deleted again: a node did not answer.")
    complete = loaded.complete and not (log and log.incomplete)
    return _answer(choices, target, fleet, "warm_load", item, title, loaded.failures, complete)


def _speed(items: int, began: float) -> dict[str, Any]:
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 3), "rate": round(items / seconds, 1)}


def _answer(
    choices: Choices,
    target: Target,
    fleet: Fleet,
    subject: str,
    item: dict[str, Any],
    title: str,
    failures: dict[str, NodeFailure],
    complete: bool,
) -> int:
    errors = [
        {"node": node, "error": type(failure).__name__, "message": str(failure)} for node, failure in failures.items()
    ]
    topology = fleet.view.state.topology
    answer = Answer(subject, [item], errors, target.alias, topology.epoch, str(topology.phase), title)
    write(answer, [], choices)
    return Exit.OK if complete else Exit.PARTIAL
