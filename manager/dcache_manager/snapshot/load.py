"""From a file into a fleet: frame by frame, in batches that the nodes bear, from where the last run ended."""

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from django_dcache.engines.inspection import BulkItem
from django_dcache.errors import NodeFailure
from django_dcache.model.stamps import with_stamp
from django_dcache.runtime.fleet import Fleet

from ..jobs.progress import Progress
from ..throttle import Throttle
from .batch_writer import writer
from .dump import renamed
from .file import Reader
from .format import Records
from .resume_point import ResumePoint

Positions: TypeAlias = "array[int]"
"""Of items in a frame."""

KEEP_UP_SECONDS = 1.0
"""Between two looks into the log of invalidations, and between two notes of how far the load is."""


class Log(Protocol):
    """What was invalidated since the dump began, as RecentInvalidations follows it."""

    incomplete: int
    """Orders of which something may still be read."""

    @property
    def entries(self) -> int | None: ...
    def covers(self, found: bytes) -> bool: ...
    def look(self, carry_out: bool) -> None: ...


class NoLog:
    """For a project that keeps none."""

    incomplete = 0
    entries = None

    def covers(self, found: bytes) -> bool:
        return False

    def look(self, carry_out: bool) -> None:
        pass


@dataclass(slots=True)
class Loaded:
    """What a load did. Every item is counted once."""

    stored: int = 0
    bytes: int = 0
    """Of the values that were stored."""
    present: int = 0
    """There already, or written meanwhile: left alone."""
    expired: int = 0
    invalidated: int = 0
    """Since the dump began, by the log."""
    refused: int = 0
    """A node said no, for instance to a value above its limit."""
    failed: int = 0
    """Not stored, because a node did not answer or a slot was in quarantine; the next run tries these again."""
    resumed: int = 0
    """Frames that an earlier run had done."""
    failures: dict[str, NodeFailure] = field(default_factory=dict)
    """The last one of each node that failed."""
    notes: list[str] = field(default_factory=list)
    """What the operator should know."""

    @property
    def complete(self) -> bool:
        return not (self.failed or self.refused)


class Load:
    """One load of a snapshot that was verified."""

    def __init__(
        self,
        fleet: Fleet,
        reader: Reader,
        point: ResumePoint,
        throttle: Throttle,
        progress: Progress,
        tick: Callable[[], None],
        log: Log = NoLog(),
        sleep: Callable[[float], None] = time.sleep,
        keep_up_seconds: float = KEEP_UP_SECONDS,
    ):
        """`tick` is called all the time. Raises Conflict while keys are moving."""
        self._fleet, self._reader, self._point = fleet, reader, point
        self._throttle, self._progress, self._tick, self._log, self._sleep = throttle, progress, tick, log, sleep
        self._writer = writer(fleet)
        self._keep_up_seconds, self._keep_up_at = keep_up_seconds, float("-inf")
        self.loaded = Loaded()

    def run(self) -> Loaded:
        """Raises Conflict when the fleet moves on, NoMajority when its state can't be proven."""
        point, loaded = self._point, self.loaded
        loaded.resumed = point.next - len(point.again)
        self._log.look(carry_out=bool(point.next))
        if self._fleet.view.bumps:
            self._sleep(self._fleet.view.hold)  # A process that has just come cannot know since when.
        try:
            waiting = self._pass()
            if waiting:
                # Until a client that held a lease has stored, or is dead, and what was in quarantine is open.
                self._sleep(max(self._fleet.view.hold, self._writer.lease_seconds + 0.5))
                self._pass(waiting)
        finally:
            self._save()
        loaded.notes = self._progress.notes
        self._log.look(carry_out=True)
        if loaded.complete:
            point.forget()
        return loaded

    def _pass(self, only: dict[int, Positions] | None = None) -> dict[int, Positions]:
        """What is still to be loaded, or `only` some items of some frames. Returns what must be tried again."""
        point, waiting = self._point, {}
        wanted = point.wanted if only is None else only.__contains__
        for number, records in self._reader.frames(wanted):
            count = len(records.names)
            left = self._frame(records, only[number] if only else range(count), last=only is not None)
            if left:
                waiting[number] = left
                point.again.add(number)
            else:
                point.again.discard(number)
            point.next = max(point.next, number + 1)
        return waiting

    def _frame(self, records: Records, positions: Sequence[int], last: bool) -> Positions:
        """Load the items at these positions of a frame. Returns the positions of those to be tried again."""
        loaded, covers, view = self.loaded, self._log.covers, self._fleet.view
        now = int(view.wall_clock())
        seconds_to_ttl = self._writer.seconds_to_ttl
        ttls: dict[int, int | None] = {0: seconds_to_ttl(None, now)}
        names, flags, deadlines, data = records
        left = array("H")
        batch: list[BulkItem] = []
        places: list[int] = []
        for position in positions:
            deadline = deadlines[position]
            if deadline not in ttls:
                ttls[deadline] = seconds_to_ttl(deadline - now, now) if deadline > now else None
            ttl = ttls[deadline]
            name = names[position]
            if ttl is None:
                loaded.expired += 1
                self._progress.done += 1
            elif covers(name) or (view.prefixes and view.young(name.decode("utf-8", "surrogateescape"))):
                loaded.invalidated += 1
                self._progress.done += 1
            else:
                name = renamed(view, name)
                batch.append(BulkItem(name, with_stamp(name, flags[position]), ttl, data[position]))
                places.append(position)
                if len(batch) >= self._throttle.batch:
                    left.extend(self._fill(batch, places, last))
                    batch, places = [], []
        if batch:
            left.extend(self._fill(batch, places, last))
        return left

    def _fill(self, batch: Sequence[BulkItem], places: Sequence[int], last: bool) -> Iterator[int]:
        """One batch; the places of what must be tried again."""
        loaded, progress, clock = self.loaded, self._progress, self._fleet.clock
        came = clock()
        self._throttle.spend(len(batch))
        began = clock()
        filled = self._writer.store(batch)
        self._throttle.took(len(batch), clock() - began)
        loaded.stored += filled.stored
        loaded.bytes += filled.bytes
        loaded.present += filled.present
        loaded.refused += filled.refused
        loaded.failures |= filled.failures
        again = filled.failed + filled.busy
        if last:
            # A client that still holds a lease by now is alive, and stores something newer.
            loaded.present += len(filled.busy)
            loaded.failed += len(filled.failed)
            again = filled.failed
        else:
            progress.done += len(batch)
        progress.moved, progress.bytes, progress.failed = loaded.stored, loaded.bytes, loaded.failed
        progress.moving_seconds += clock() - came
        # Between batches: what is new in the log is deleted where it was loaded, and left out of every batch to come.
        self._keep_up()
        return map(places.__getitem__, again)

    def _keep_up(self) -> None:
        """Follow the log of invalidations, and note how far the load is."""
        now = self._fleet.clock()
        if now >= self._keep_up_at:
            self._keep_up_at = now + self._keep_up_seconds
            self._log.look(carry_out=True)
            self._save()
        self._tick()

    def _save(self) -> None:
        try:
            self._point.save()
        except OSError as error:
            self._progress.note(
                f"{self._point.path} could not be written: {error}; if this load is killed, the next one starts over"
            )
