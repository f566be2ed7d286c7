"""Who did what when, and what nobody may ever see.

A read is wrong when it returns a value whose write had ended before another write began that was acknowledged more
than the promised bound before the read began. Deletes are writes. A miss is always allowed, unless `complain` says so.
"""

from dataclasses import dataclass, field

FOR_EVER = float("inf")


@dataclass(slots=True)
class Write:
    began: float
    by: str = ""
    """The process."""
    returned: float = FOR_EVER
    ended: float = FOR_EVER
    """When nothing of it could happen any more; never if it was not acknowledged."""
    acknowledged: float = FOR_EVER


@dataclass
class History:
    """Of one value: every write has its own version number."""

    bound: float
    writes: dict[int, Write] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    reads: int = 0
    hits: int = 0

    def begin(self, now: float, by: str = "") -> int:
        version = len(self.writes) + 1
        self.writes[version] = Write(now, by)
        return version

    def end(self, version: int, now: float, acknowledged: bool) -> None:
        """One that was not acknowledged may happen later still, but not after a later one of the same process."""
        write = self.writes[version]
        write.returned = now
        if acknowledged:
            write.ended = write.acknowledged = now

    def read(self, version: int | None, began: float, now: float, who: str) -> None:
        self.reads += 1
        self.hits += version is not None
        if version is not None and version not in self.writes:
            self.complain(now, f"{who} read {version}, which no process wrote there")
            return
        if version is not None and (newer := self.outdated(version, began - self.bound)):
            self.complain(now, f"{who} read {version} (from {began:.4f}), outdated by {newer} {self.writes[newer]}")

    def outdated(self, version: int, before: float) -> int | None:
        """A write that replaced `version` for certain and was acknowledged before then."""
        old = self.writes[version]
        for number, new in self.writes.items():
            if new.acknowledged <= before and new.began > (old.returned if new.by == old.by else old.ended):
                return number
        return None

    def complain(self, now: float, what: str) -> None:
        self.wrong.append(f"{now:.4f} {what}")


@dataclass
class Counter:
    """Numbers handed out: each once, none below one that was handed out before, whatever fails; and where nothing
    fails, none that was skipped."""

    history: History
    exact: bool
    """Nothing fails."""
    split: bool = False
    """Of two keepers each may be a majority: such a fleet is not safe in a split, and lost replies make one."""
    starts: int = 0
    begun: int = 0
    handed_out: dict[int, str] = field(default_factory=dict)
    acknowledged: list[tuple[float, int]] = field(default_factory=list)
    added: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    """When each life of the counter was acknowledged: one that is lost begins again, far above what it reached."""

    STEP = 1_000_000

    def new_start(self) -> int:
        self.starts += 1
        return self.starts * self.STEP

    def started(self, start: int, now: float) -> None:
        self.added[start // self.STEP] = now

    def begin(self) -> None:
        self.begun += 1

    def end(self, number: int, began: float, now: float, who: str) -> None:
        if self.exact and number % self.STEP > self.begun:
            self.history.complain(now, f"{who} was given {number}, but {self.begun} were asked for")
        if self.split:
            return
        if number in self.handed_out:
            self.history.complain(now, f"{who} was given {number}, like {self.handed_out[number]} before")
        if (most := self._highest_before(number, began)) >= number:
            self.history.complain(now, f"{who} was given {number}, after somebody had {most}")
        self.handed_out[number] = f"{who} at {now:.4f}"
        self.acknowledged.append((now, number))

    def read(self, number: int, began: float, now: float, who: str) -> None:
        if (most := self._highest_before(number, began)) > number:
            self.history.complain(now, f"{who} read a counter at {number}, after somebody had {most}")

    def _highest_before(self, number: int, began: float) -> int:
        """The highest number whose owner had it long enough before, and after this life of the counter had begun."""
        born = self.added.get(number // self.STEP, FOR_EVER)
        had = [
            n
            for when, n in self.acknowledged
            if when <= began - self.history.bound and (born <= when or n // self.STEP == number // self.STEP)
        ]
        return max(had, default=-1)


@dataclass
class Register:
    """A value that is changed by swapping alone: each version takes the place of one, and no two of the same."""

    name: bytes
    history: History
    replaced: dict[int, str] = field(default_factory=dict)
    """Versions that were swapped for others, and by whom."""

    def swapped(self, old: int, now: float, who: str) -> None:
        if old in self.replaced:
            self.history.complain(now, f"{who} swapped {old}, as {self.replaced[old]} had")
        self.replaced[old] = f"{who} at {now:.4f}"


@dataclass
class Lock:
    """`add` as a lock: while nobody gives it back, nobody else gets it. Checked only where nothing can lose it."""

    history: History
    strict: bool
    held: dict[str, float] = field(default_factory=dict)

    def taken(self, who: str, began: float, now: float) -> None:
        for other, since in self.held.items():
            if self.strict and since <= began:
                self.history.complain(now, f"{who} and {other} both hold the lock")
        self.held[who] = now

    def dropping(self, who: str, now: float) -> None:
        self.held.pop(who, None)
