"""`dcache-admin warm dump` and `warm load`."""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django_dcache.errors import ConfigurationError
from django_dcache.runtime.fleet import Fleet

from ..cli.options import Choices
from ..cli.output import count
from ..cli.progress_bar import reporter
from ..inspection.fleet_report import look
from ..inspection.target import Target, find
from ..jobs import owner
from ..jobs.progress import Progress
from ..rebalance.service import confirm
from ..throttle import Pace
from .dump import Dump
from .file import Contents, Reader, Writer
from .format import Header
from .load import Load, Loaded, NoLog
from .resume_point import Bookmark
from .words import describe, tell_dump, tell_load

if TYPE_CHECKING:
    from .recent_invalidations import Recent


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
    return tell_dump(choices, target, fleet, writer, dumped, began)


def load(choices: Choices, file: Path, max_rate: float | None, restart: bool) -> int:
    """Verify a snapshot and store what it holds; answer with what became of it."""
    target = find(choices)
    fleet = target.fleet()
    began = time.monotonic()
    with file.open("rb") as source:
        reader = Reader(source)
        contents = _verify(choices, reader)
        _for_this_fleet(reader, target)
        log = _log(choices, reader)
        bookmark = _bookmark(choices, target, contents, restart)
        loaded = _load(choices, fleet, reader, contents, bookmark, log, max_rate)
    return tell_load(choices, target, fleet, contents, loaded, log, began)


def _progress(phase: str) -> Progress:
    return Progress(secrets.token_hex(4), owner.new(), phase=phase, started=time.time())


def _pace(fleet: Fleet, max_rate: float | None) -> Pace:
    return Pace(max_rate, fleet.options.timeout / 5, fleet.clock, time.sleep)


def _verify(choices: Choices, reader: Reader) -> Contents:
    progress = _progress("verifying")
    progress.listed = reader.size
    with reporter(choices, describe) as report:

        def tick(position: int) -> None:
            progress.done = position
            report(progress)

        return reader.verify(tick)


def _load(
    choices: Choices,
    fleet: Fleet,
    reader: Reader,
    contents: Contents,
    bookmark: Bookmark,
    log: "Recent | None",
    max_rate: float | None,
) -> Loaded:
    progress = _progress("loading")
    left = contents.frames - bookmark.next + len(bookmark.again)
    progress.listed = contents.items * left // max(1, contents.frames)
    with reporter(choices, describe) as report:
        pace = _pace(fleet, max_rate)
        loading = Load(fleet, reader, bookmark, pace, progress, lambda: report(progress), log or NoLog())
        try:
            loaded = loading.run()
        except KeyboardInterrupt:
            choices.note("Interrupted. The next `warm load` of this file goes on from here.")
            raise
    for text in progress.notes:
        choices.note(text)
    return loaded


def _for_this_fleet(reader: Reader, target: Target) -> None:
    dumped, ours = reader.header.fleet, target.configuration.fleet
    if dumped != ours:
        # Its keys are made as that fleet's sites make them: here nobody would read them.
        raise ConfigurationError(f"the snapshot is of fleet {dumped!r}, and this is {ours!r}")


def _log(choices: Choices, reader: Reader) -> "Recent | None":
    """The log of invalidations, if the project keeps one."""
    from django.apps import apps

    from ..settings import regions

    known = regions()
    if not known or not apps.is_installed("dcache_manager"):
        return None
    from .recent_invalidations import Recent

    log = Recent(reader.header.fleet, reader.header.began, known)
    if not log.reaches:
        confirm(
            choices,
            "The snapshot is older than the log of invalidations reaches back: what was invalidated soon after it was "
            "made, and is in no log any more, would be read again. Load it?",
        )
    return log


def _bookmark(choices: Choices, target: Target, contents: Contents, restart: bool) -> Bookmark:
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
