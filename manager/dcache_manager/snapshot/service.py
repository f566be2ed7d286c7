"""Dumping a fleet into a file, and loading it again, from Python.

`report` gets a Progress all the time, `notify` remarks for people; `confirm` raises NotConfirmed unless a person
answers its question with yes.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from django_dcache.runtime.fleet import Fleet

from ..errors import NotPossible
from ..formatting import count
from ..inspection.fleet_report import look
from ..inspection.target import Target
from ..jobs import owner
from ..jobs.journal import installed
from ..jobs.progress import Progress
from ..settings import regions
from ..throttle import Throttle
from .dump import Dump, Dumped
from .file import Contents, Reader, Writer
from .format import Header
from .load import Load, Loaded, Log, NoLog
from .resume_point import ResumePoint

Notify = Callable[[str], None]
Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class DumpResult:
    dumped: Dumped
    file_bytes: int
    epoch: int
    phase: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    contents: Contents
    loaded: Loaded
    log_entries: int | None
    """Invalidations that were heeded; None: the project keeps no log."""
    log_incomplete: bool
    """Something that was invalidated meanwhile may still be read."""
    epoch: int
    phase: str

    @property
    def complete(self) -> bool:
        return self.loaded.complete and not self.log_incomplete


def dump(target: Target, file: Path, prefix: str, max_rate: float | None, report: Report) -> DumpResult:
    """Write what the fleet holds into `file`. `prefix`: only keys that begin so, as the application names them.

    Raises Conflict while keys are moving, NothingReachable.
    """
    wanted = target.make_key(prefix).encode() if prefix else b""
    with (
        target.connected() as fleet,
        Writer(file, Header(target.name, target.alias, fleet.view.wall_clock())) as writer,
    ):
        progress = _progress("dumping")
        made = Dump(fleet, writer, _throttle(fleet, max_rate), progress, lambda: report(progress), wanted)
        progress.epoch = fleet.view.epoch
        dumped = made.run()
        topology = fleet.view.state.topology
    return DumpResult(dumped, writer.bytes, topology.epoch, str(topology.phase))


def load(
    target: Target,
    file: Path,
    max_rate: float | None,
    restart: bool,
    seconds: float,
    reporting: Callable[[], AbstractContextManager[Report]],
    notify: Notify,
    confirm: Notify,
) -> LoadResult:
    """Verify a snapshot and store what it holds and the fleet lacks. `restart`: even what an earlier load has stored.
    `reporting` gives a `report` for the time of verifying, and another one for that of loading: a question may come
    between the two.

    Raises BadSnapshot, ConfigurationError, Conflict while keys are moving, NotConfirmed, NoMajority.
    """
    with target.connected() as fleet, file.open("rb") as source:
        reader = Reader(source)
        with reporting() as report:
            contents = _verify(reader, report)
        if reader.header.fleet != target.name:
            # Its keys are made as that fleet's sites make them: here no site would read them.
            raise NotPossible(f"the snapshot is of fleet {reader.header.fleet!r}, and this is {target.name!r}")
        log = _log(reader, confirm)
        point = _resume_point(target, contents, restart, seconds, notify)
        with reporting() as report:
            loaded = _load(fleet, reader, contents, point, log, max_rate, report)
        topology = fleet.view.state.topology
    for text in loaded.notes:
        notify(text)
    return LoadResult(contents, loaded, log.entries, bool(log.incomplete), topology.epoch, str(topology.phase))


def _progress(phase: str) -> Progress:
    return Progress(secrets.token_hex(4), owner.new(), phase=phase, started=time.time())


def _throttle(fleet: Fleet, max_rate: float | None) -> Throttle:
    return Throttle(max_rate, fleet.options.timeout / 5, fleet.clock, time.sleep)


def _verify(reader: Reader, report: Report) -> Contents:
    progress = _progress("verifying")
    progress.listed = reader.size

    def tick(position: int) -> None:
        progress.done = position
        report(progress)

    return reader.verify(tick)


def _load(
    fleet: Fleet,
    reader: Reader,
    contents: Contents,
    point: ResumePoint,
    log: Log,
    max_rate: float | None,
    report: Report,
) -> Loaded:
    progress = _progress("loading")
    left = contents.frames - point.next + len(point.again)
    progress.listed = contents.items * left // max(1, contents.frames)
    throttle = _throttle(fleet, max_rate)
    return Load(fleet, reader, point, throttle, progress, lambda: report(progress), log).run()


def _log(reader: Reader, confirm: Notify) -> Log:
    """The log of invalidations, if the project keeps one."""
    known = regions()
    if not known or not installed():
        return NoLog()
    from .recent_invalidations import RecentInvalidations  # Late: a project without dcache_manager has no models.

    log = RecentInvalidations(reader.header.fleet, reader.header.began, known)
    if not log.reaches:
        confirm(
            "The snapshot is older than the log of invalidations reaches back: what was invalidated soon after it was "
            "made, and is in no log any more, would be read again. Load it?",
        )
    return log


def _resume_point(target: Target, contents: Contents, restart: bool, seconds: float, notify: Notify) -> ResumePoint:
    """How far an earlier load of this file came, unless a node has lost since what it brought."""
    point = ResumePoint.of(target.name, contents.digest)
    if not point.next:
        return point
    fresh = ResumePoint(point.path)
    if restart:
        return fresh
    for report in look(target, seconds).reports.values():
        uptime = report.reply.uptime_seconds
        if uptime is not None and report.asked_at - uptime > point.began + 1:
            notify(f"Starting over: {report.node.name} has restarted since an earlier load was interrupted.")
            return fresh
    notify(
        f"Resuming an interrupted load: {count(point.next - len(point.again))} of {count(contents.frames)} parts are "
        f"loaded already. --restart starts over."
    )
    return point
