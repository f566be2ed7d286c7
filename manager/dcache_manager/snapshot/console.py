"""`dcache-admin warm dump` and `warm load`: what they do, and how they tell of it."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django_dcache.errors import ConfigurationError, NodeFailure
from django_dcache.fleet import Fleet

from .. import owner
from ..bar import reporter
from ..exits import Exit
from ..options import Choices
from ..pace import Pace
from ..progress import Progress
from ..render import Answer, count, printable, size, span, write
from ..resize import confirm
from ..sighting import look
from ..target import Target, find
from .bookmark import Bookmark
from .dump import Dump
from .file import Contents, Reader, Writer
from .format import Header
from .load import Load, Loaded, NoLog

if TYPE_CHECKING:
    from .recent import Recent


def dump(choices: Choices, file: Path, prefix: str, max_rate: float | None) -> int:
    """Write a snapshot, and answer with what it holds."""
    target = find(choices)
    fleet = target.fleet()
    wanted = target.make_key(prefix).encode() if prefix else b""
    began = time.monotonic()
    header = Header(target.configuration.fleet, target.alias, fleet.view.wall_clock())
    with reporter(choices, describe) as report, Writer(file, header) as writer:
        progress = _progress("dumping")
        made = Dump(fleet, writer, _pace(fleet, max_rate), progress, lambda: report(progress), wanted)
        progress.epoch = fleet.view.epoch
        dumped = made.run()
    item = {
        "file": str(file),
        "file_bytes": writer.bytes,
        "items": dumped.items,
        "bytes": dumped.bytes,
        "gone": dumped.gone,
        "skipped": dumped.skipped,
        "failed": dumped.failed,
    } | _speed(dumped.items, began)
    title = f"{count(dumped.items)} items ({size(dumped.bytes)}) in {file} ({size(writer.bytes)})"
    return _answer(choices, target, fleet, "warm_dump", item, title, dumped.silent, dumped.complete)


def load(choices: Choices, file: Path, max_rate: float | None, restart: bool) -> int:
    """Verify a snapshot and store what it holds; answer with what became of it."""
    target = find(choices)
    fleet = target.fleet()
    began = time.monotonic()
    with reporter(choices, describe) as report, file.open("rb") as source:
        reader = Reader(source)
        progress = _progress("verifying")
        progress.listed = reader.size

        def verified(position: int) -> None:
            progress.done = position
            report(progress)

        contents = reader.verify(verified)
        _for_this_fleet(reader, target)
        log = _log(choices, reader, lambda: report(progress))
        bookmark = _bookmark(choices, target, fleet, contents, restart)
        progress = _progress("loading")
        progress.listed, progress.epoch = contents.items, fleet.view.epoch
        loading = Load(
            fleet, reader, bookmark, _pace(fleet, max_rate), progress, lambda: report(progress), log or NoLog()
        )
        try:
            loaded = loading.run()
        except KeyboardInterrupt:
            choices.note("Interrupted. The next `warm load` of this file goes on from here.")
            raise
    for text in progress.notes:
        choices.note(text)
    return _tell(choices, target, fleet, contents, loaded, log, began)


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


def _progress(phase: str) -> Progress:
    return Progress(secrets.token_hex(4), owner.new(), phase=phase, started=time.time())


def _pace(fleet: Fleet, max_rate: float | None) -> Pace:
    return Pace(max_rate, fleet.options.timeout / 5, fleet.clock, time.sleep)


def _for_this_fleet(reader: Reader, target: Target) -> None:
    dumped, ours = reader.header.fleet, target.configuration.fleet
    if dumped != ours:
        # Its keys are made as that fleet's sites make them: here nobody would read them.
        raise ConfigurationError(f"the snapshot is of fleet {dumped!r}, and this is {ours!r}")


def _log(choices: Choices, reader: Reader, tick: Callable[[], None]) -> "Recent | None":
    """The log of invalidations, if the project keeps one."""
    from django.apps import apps

    from ..regions import regions

    known = regions()
    if not known or not apps.is_installed("dcache_manager"):
        return None
    from .recent import Recent

    log = Recent(reader.header.fleet, reader.header.began, known, tick)
    if not log.reaches:
        confirm(
            choices,
            "The snapshot is older than the log of invalidations reaches back: what was invalidated soon after it was "
            "made, and is in no log any more, would be read again. Load it?",
        )
    return log


def _bookmark(choices: Choices, target: Target, fleet: Fleet, contents: Contents, restart: bool) -> Bookmark:
    """How far an earlier load of this file came, unless a node has lost since what it brought."""
    mark = Bookmark.of(target.configuration.fleet, contents.digest)
    if not mark.next:
        return mark
    fresh = Bookmark(mark.path)
    if restart:
        return fresh
    for report in look(target, choices.timeout).reports.values():
        uptime = report.words.number("uptime")
        if uptime is not None and report.asked_at - uptime > mark.began + 1:
            choices.note(f"An earlier load was broken off; from the beginning, since {report.node.name} has restarted.")
            return fresh
    choices.note(
        f"Going on where an earlier load was broken off: {count(mark.next - len(mark.again))} of "
        f"{count(contents.frames)} parts are loaded already. --restart begins at the beginning."
    )
    return mark


def _tell(
    choices: Choices,
    target: Target,
    fleet: Fleet,
    contents: Contents,
    loaded: Loaded,
    log: "Recent | None",
    began: float,
) -> int:
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
