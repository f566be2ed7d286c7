"""From a file into a fleet: frame by frame, in batches that the nodes bear, as far as the last run did not come."""

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from django_dcache.engines.memcached.protocol import exptime
from django_dcache.errors import NodeFailure
from django_dcache.runtime.fleet import Fleet

from ..jobs.progress import Progress
from ..throttle import Pace
from .batch import Item
from .dump import renamed
from .file import Reader
from .filler import Filler
from .format import Records
from .resume_point import Bookmark

Positions: TypeAlias = "array[int]"
"""Of items in a frame."""

OFTEN = 1.0
"""Seconds between two looks into the log of invalidations, and between two bookmarks."""


class Log(Protocol):
    """What was invalidated since the dump began, as `recent.Recent` follows it."""

    def covers(self, found: bytes) -> bool: ...
    def look(self, carry_out: bool) -> None: ...


class NoLog:
    """For a project that keeps none."""

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

    @property
    def complete(self) -> bool:
        return not (self.failed or self.refused)


class Load:
    """One load of a snapshot that was verified."""

    def __init__(
        self,
        fleet: Fleet,
        reader: Reader,
        bookmark: Bookmark,
        pace: Pace,
        progress: Progress,
        tick: Callable[[], None],
        log: Log = NoLog(),
        sleep: Callable[[float], None] = time.sleep,
        often: float = OFTEN,
    ):
        """`tick` is called all the time. Raises Conflict while keys are moving."""
        self._fleet, self._reader, self._bookmark = fleet, reader, bookmark
        self._pace, self._progress, self._tick, self._log, self._sleep = pace, progress, tick, log, sleep
        self._filler = Filler(fleet)
        self._often, self._keep_up_at = often, float("-inf")
        self.loaded = Loaded()

    def run(self) -> Loaded:
        """Raises Conflict when the fleet moves on, NoMajority when its state can't be proven."""
        mark, loaded = self._bookmark, self.loaded
        loaded.resumed = mark.next - len(mark.again)
        self._log.look(carry_out=bool(mark.next))
        if self._fleet.view.bumps:
            self._sleep(self._fleet.view.hold)  # A process that has just come cannot know since when.
        try:
            waiting = self._pass()
            if waiting:
                # Until whoever held a lease has stored, or is dead, and what was in quarantine is open.
                self._sleep(max(self._fleet.view.hold, self._filler.lease_seconds + 0.5))
                self._pass(waiting)
        finally:
            self._save()
        self._log.look(carry_out=True)
        if loaded.complete:
            mark.forget()
        return loaded

    def _pass(self, only: dict[int, Positions] | None = None) -> dict[int, Positions]:
        """What is still to be loaded, or `only` some items of some frames. Returns what must be tried again."""
        mark, waiting = self._bookmark, {}
        wanted = mark.wanted if only is None else only.__contains__
        for number, records in self._reader.frames(wanted):
            count = len(records.names)
            left = self._frame(records, only[number] if only else range(count), last=only is not None)
            if left:
                waiting[number] = left
                mark.again.add(number)
            else:
                mark.again.discard(number)
            mark.next = max(mark.next, number + 1)
        return waiting

    def _frame(self, records: Records, positions: Sequence[int], last: bool) -> Positions:
        """Load the items at these positions of a frame. Returns the positions of those to be tried again."""
        loaded, covers, view = self.loaded, self._log.covers, self._fleet.view
        now = int(view.wall_clock())
        ttls: dict[int, int | None] = {0: exptime(None, now)}
        names, flags, deadlines, data = records
        left = array("H")
        batch: list[Item] = []
        places: list[int] = []
        for position in positions:
            deadline = deadlines[position]
            if deadline not in ttls:
                ttls[deadline] = exptime(deadline - now, now) if deadline > now else None
            ttl = ttls[deadline]
            name = names[position]
            if ttl is None:
                loaded.expired += 1
                self._progress.done += 1
            elif covers(name) or (view.prefixes and view.young(name.decode("utf-8", "surrogateescape"))):
                loaded.invalidated += 1
                self._progress.done += 1
            else:
                batch.append(Item(renamed(view, name), flags[position], ttl, data[position]))
                places.append(position)
                if len(batch) >= self._pace.batch:
                    left.extend(self._fill(batch, places, last))
                    batch, places = [], []
        if batch:
            left.extend(self._fill(batch, places, last))
        return left

    def _fill(self, batch: Sequence[Item], places: Sequence[int], last: bool) -> Iterator[int]:
        """One batch; the places of what must be tried again."""
        loaded, progress, clock = self.loaded, self._progress, self._fleet.clock
        came = clock()
        self._pace.spend(len(batch))
        began = clock()
        filled = self._filler.fill(batch)
        self._pace.took(len(batch), clock() - began)
        loaded.stored += filled.stored
        loaded.bytes += filled.bytes
        loaded.present += filled.present
        loaded.refused += filled.refused
        loaded.failures |= filled.failures
        again = filled.failed + filled.busy
        if last:
            # Whoever still holds a lease by now is alive, and stores something newer.
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
        """Follow the log of invalidations, and leave a bookmark."""
        now = self._fleet.clock()
        if now >= self._keep_up_at:
            self._keep_up_at = now + self._often
            self._log.look(carry_out=True)
            self._save()
        self._tick()

    def _save(self) -> None:
        try:
            self._bookmark.save()
        except OSError as error:
            note = f"{self._bookmark.path} could not be written: {error}; a load that is killed begins anew"
            if note not in self._progress.notes:
                self._progress.notes.append(note)
