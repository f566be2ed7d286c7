"""What may never be seen in a history: the invariants of a drill, judged record by record in two passes."""

import re
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import floor
from operator import attrgetter
from pathlib import Path

from .availability import Availability
from .bumps import Bumps
from .counters import Counters
from .ground_truth import FAMILY_SHIFT, Family, key_name
from .history import WRITES, Kind, Outcome, read_all
from .schedule import Phase
from .staleness import Calm, Writes

BUCKET_SECONDS = 0.01
"""Of one bar of a histogram."""
MOST_UNPROVEN = 0.2
"""The part of a calm phase's hits that may be made without a proof, on a machine that is busy with other things."""
SHOWN = 200
"""Violations that are kept; all are counted."""


@dataclass(frozen=True)
class Bounds:
    """Seconds."""

    stale: float
    """How far a read may lag while anything is in doubt: `freshness` and one timeout."""
    hold: float
    """How long after a change of the fleet state something may be in doubt: `View.hold`."""
    latency: float
    """What all but one in a thousand calls of one operation must not exceed."""
    calm: float = 0.0
    """How far a read may lag while nothing is in doubt: `freshness` with a near cache."""
    tags: float = 0.0
    """The same for values with tags, whose versions each process keeps for `freshness`."""

    @property
    def timeout(self) -> float:
        """What a node has to answer."""
        return self.hold - self.stale

    def longest(self, family: int, kind: int) -> float:
        """What a call may take. A read with tags is up to three operations before the one that loads: the value, the
        versions of its tags, and a new version, under a lease, for a tag that has none. Each has a deadline of its
        own, the last one a bump or a wait for another caller besides."""
        return self.latency + (4 * self.timeout if (family, kind) == (Family.TAGGED, Kind.READ) else 0.0)

    def lag(self, family: int, quiet: bool) -> float:
        """How far a read of a key of this family may lag."""
        return self.stale if not quiet else max(self.calm, self.tags) if family == Family.TAGGED else self.calm


@dataclass(frozen=True)
class Violation:
    invariant: str
    text: str
    at: float = 0.0
    key: int | None = None
    phase: int = 0


@dataclass
class Tally:
    """What happened in one phase."""

    calls: int = 0
    hits: int = 0
    misses: int = 0
    late: int = 0
    """Reads that lagged at all."""
    worst: float = 0.0
    failed: Counter[int] = field(default_factory=Counter)
    violations: int = 0
    unproven: int = 0
    """Hits in processes that could prove nothing, though nothing was in doubt."""
    stall: float = 0.0
    """Seconds by which a process that slept woke too late, at worst."""
    latency: Counter[int] = field(default_factory=Counter)
    """Calls by hundredths of a second."""
    excess: Counter[int] = field(default_factory=Counter)
    """Those that took longer than they may, by the hundredths of a second by which they did."""

    def percentile(self, part: float) -> float:
        """Seconds within which that part of the calls was over."""
        left = part * sum(self.latency.values())
        for bucket in sorted(self.latency):
            left -= self.latency[bucket]
            if left <= 0:
                return (bucket + 1) * BUCKET_SECONDS
        return 0.0


@dataclass
class Findings:
    bounds: Bounds
    phases: Sequence[Phase]
    tallies: list[Tally]
    violations: list[Violation] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)
    """How many violations there are of each invariant."""
    lags: Counter[int] = field(default_factory=Counter)
    """Hits by how far they lagged, in hundredths of a second rounded up; 0: not at all."""
    seconds: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """[hits, misses] of each second."""
    records: int = 0
    began: float = 0.0
    folder: Path = Path()
    unproven: int = 0
    """Hits in processes that said that they could not promise anything."""
    doubtful: int = 0
    """Reads made while something was in doubt."""

    def phase(self, moment: float) -> int:
        """The number of the phase at a moment."""
        return max(0, bisect_right(self.phases, moment, key=attrgetter("began")) - 1)

    def blame(self, violation: Violation) -> None:
        self.total[violation.invariant] += 1
        if self.tallies:
            self.tallies[violation.phase].violations += 1
        if self.total[violation.invariant] <= SHOWN:
            self.violations.append(violation)


_wrong = {
    Outcome.FOREIGN: ("I1 own key", "the value of another key"),
    Outcome.CORRUPT: ("I2 whole value", "no value that was ever stored"),
    Outcome.FUTURE: ("I3 never from the future", "a version that no worker has written yet"),
}


def check(
    paths: Sequence[Path], bounds: Bounds, phases: Sequence[Phase], ill: Sequence[tuple[float, float]] = ()
) -> Findings:
    """The findings in the histories at `paths`. `ill`: when nodes did not answer in time (monitor.py)."""
    writes, counts, given_up, learned = Writes(bounds.timeout), Counters(), Bumps(), []
    availability = Availability(phases, ill, 2 * bounds.hold, bounds.calm)
    writers = set()
    for kind, outcome, writer, key, version, began, ended, _, _ in read_all(paths):
        writers.add(writer)
        availability.add(kind, outcome, writer, key, version, began, ended)
        if kind in WRITES:
            writes.add(outcome, writer, key, version, began, ended)
        elif kind == Kind.COUNT:
            counts.add(key, version, ended, outcome == Outcome.OK)
        elif kind == Kind.LEARN:
            learned.append(ended)
            given_up.add(version, ended)
    writes.settle()
    counts.settle()
    findings = Findings(bounds, phases, [Tally() for _ in phases] or [Tally()])
    findings.began = phases[0].began if phases else 0.0
    _judge(paths, findings, writes, counts, Calm(learned, bounds.hold))
    for key, text in counts.excess(len(writers)):
        findings.blame(Violation("I6 counters", f"{key_name(key)} {text}", key=key))
    for moment, text in availability.shortfalls():
        findings.blame(Violation("I12 availability", text, moment, phase=findings.phase(moment)))
    for phase, count in given_up.unprovoked(phases, ill):
        text = f"{count} slots were bumped in phase {phase.number} ({phase.name}), in which only processes stood still"
        findings.blame(Violation("I13 bumps", text, phase.began, phase=phase.number))
    for number, (phase, tally) in enumerate(zip(phases, findings.tallies, strict=False)):
        # A process is not slow on a machine that has no time for it, at any of the few times that a call waits.
        slow = sum(count for excess, count in tally.excess.items() if excess * BUCKET_SECONDS >= 4 * tally.stall)
        if slow > 0.001 * sum(tally.latency.values()) and tally.calls >= 1000:
            took = f"99.9 % took up to {tally.percentile(0.999):.2f} s"
            text = f"{slow} of {tally.calls} calls took longer than they may in phase {number} ({phase.name}); {took}"
            findings.blame(Violation("I10 latency", text, phase.began, phase=number))
        if phase.name == "calm" and tally.unproven > MOST_UNPROVEN * tally.hits:
            text = (
                f"{tally.unproven} of {tally.hits} hits without a proof in phase {number}, in which nothing was broken"
            )
            findings.blame(Violation("I10 proof", text, phase.began, phase=number))
    return findings


_ALL, _NONE = frozenset({-1}), frozenset[int]()
_asleep = re.compile(r"((?:w\d+ )+)asleep")


def _stopped(phase: Phase) -> frozenset[int]:
    """The processes that stood still at some time of a phase, by its name; or all of them."""
    if "worker" in phase.name:
        return _ALL
    named = _asleep.search(phase.name)
    return frozenset(int(worker[1:]) for worker in named[1].split()) if named else _NONE


def _judge(paths: Sequence[Path], findings: Findings, writes: Writes, counts: Counters, calm: Calm) -> None:
    starts = array("d", [phase.began for phase in findings.phases])
    stopped = [_stopped(phase) for phase in findings.phases] or [_NONE]
    tallies, ratios, lags, origin = findings.tallies, findings.seconds, findings.lags, findings.began
    bounds = findings.bounds
    for kind, outcome, writer, key, version, began, ended, loading, epoch in read_all(paths):
        findings.records += 1
        phase = max(0, bisect_right(starts, began) - 1)
        tally = tallies[phase]
        if kind == Kind.STALL:
            tally.stall = max(tally.stall, ended - began)
        if kind == Kind.LEARN or kind == Kind.STALL:
            continue
        tally.calls += 1
        # A process that was stopped is not slow, in a call that began before and ended afterwards either.
        if not any(some is _ALL or writer in some for some in stopped[phase : max(1, bisect_right(starts, ended))]):
            seconds = ended - began - loading * 1e-6
            tally.latency[int(seconds / BUCKET_SECONDS)] += 1
            if (excess := seconds - bounds.longest(key >> FAMILY_SHIFT, kind)) > 0:
                tally.excess[int(excess / BUCKET_SECONDS)] += 1
        if outcome == Outcome.RAISED:
            findings.blame(Violation("I10 exceptions", f"process {writer} met an exception", began, key or None, phase))
        counter = key >> FAMILY_SHIFT == Family.COUNTER
        if outcome != Outcome.OK and kind != Kind.READ:
            tally.failed[outcome] += 1
        if kind == Kind.READ:
            if outcome in _wrong:
                invariant, text = _wrong[Outcome(outcome)]
                text = f"process {writer} read {text} as {key_name(key)}"
                findings.blame(Violation(invariant, text, began, key, phase))
                continue
            ratios[floor(began - origin)][not version] += 1
            if not version:
                tally.misses += 1
                continue
            tally.hits += 1
            if outcome == Outcome.UNPROVEN:
                findings.unproven += 1
                tally.unproven += began in calm
                continue
            lag = counts.lag(key, version, began) if counter else writes.lag(key, version, began)
            lags[-int(-lag / BUCKET_SECONDS // 1)] += 1
            if not counter and (own := writes.own_lag(writer, key, version, began)):
                text = f"process {writer}: {key_name(key)} was {own:.3f} s behind what this process had written"
                findings.blame(Violation("I5 own writes", text, began, key, phase))
        elif kind == Kind.COUNT and version:
            for text in _wrong_number(counts, key, version, began):
                findings.blame(Violation("I6 counters", f"process {writer}: {text}", began, key, phase))
            continue
        else:
            continue
        quiet = began in calm
        findings.doubtful += not quiet
        if lag > 0:
            tally.late += 1
            tally.worst = max(tally.worst, lag)
            if lag > bounds.lag(key >> FAMILY_SHIFT, quiet):
                invariant = _stale_by_family.get(key >> FAMILY_SHIFT, "I4 staleness")
                when = "in calm" if quiet else "in doubt"
                what = f"{Kind(kind).name.lower()} of {key_name(key)}"
                text = f"process {writer}, epoch {epoch}: {what} was {lag:.3f} s behind, {when}"
                findings.blame(Violation(invariant, text, began, key, phase))


def _wrong_number(counts: Counters, key: int, number: int, began: float) -> Iterator[str]:
    """What is wrong with a number that `incr` or `decr` returned, whatever its process could prove."""
    if counts.again(key, number):
        yield f"{key_name(key)} = {number} was handed out once more"
    if behind := counts.behind(key, number, began):
        yield f"{key_name(key)} = {number} was handed out {behind:.3f} s after a number beyond it"


_stale_by_family = {Family.COUNTER: "I6 counters", Family.SESSION: "I7 logout"}
