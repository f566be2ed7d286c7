"""What people read after a drill: one line a phase, the verdict, and each violation in its piece of history."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .checker import BUCKET_SECONDS, Findings, Tally, Violation
from .ground_truth import key_name
from .history import WRITES, Kind, Outcome, Record, read_all
from .schedule import Phase

WINDOW_SECONDS = 2.0
"""Of a key's history before a violation, and a quarter of that after it."""
REPORT = "report.txt"
SHOWN = 10
"""Violations of each invariant."""
LAG_SECONDS = (0, 1, 10)
"""For each of these the summary says which part of the hits lagged no further."""


def line(phase: Phase, tally: Tally, origin: float) -> str:
    """One phase."""
    reads = tally.hits + tally.misses
    ratio = f"{100 * tally.hits / reads:5.1f} %" if reads else "      –"
    lag = f"{1000 * tally.worst:4.0f} ms" if tally.late else "      –"
    failed = sum(tally.failed.values())
    wrong = f"{tally.violations} VIOLATIONS" if tally.violations else "ok"
    return (
        f"{phase.began - origin:7.1f} s  {tally.calls:7} calls  hits {ratio}"
        f"  p99.9 {1000 * tally.percentile(0.999):5.0f} ms  lag {lag} ({tally.late})"
        f"  failed {failed:4}  {wrong}  {phase.name}"
    )


def summary(findings: Findings) -> Iterator[str]:
    """The verdict."""
    hits = sum(findings.lags.values())
    yield f"{findings.records} records, {hits} hits, {findings.doubtful} reads while something was in doubt"
    if findings.unproven:
        yield f"{findings.unproven} hits in processes that could not reach a majority of keepers"
    for seconds in LAG_SECONDS:
        later = sum(count for bucket, count in findings.lags.items() if bucket * BUCKET_SECONDS > seconds)
        share = 1 - later / hits if hits else 1.0
        yield f"not staler than {seconds:2} s: {100 * share:.5f} % of the hits ({later} were)"
    if not findings.total:
        yield "no violations"
    else:
        first = min((v.at for v in findings.violations if v.at > findings.began), default=findings.began)
        yield f"the first violation after {first - findings.began:.1f} s"
    for invariant, count in sorted(findings.total.items()):
        yield f"VIOLATED {invariant}: {count} times"


def verdict(findings: Findings) -> Iterator[str]:
    """What a command prints at the end: each phase, the summary, and where the rest is."""
    for phase, tally in zip(findings.phases, findings.tallies, strict=False):
        yield line(phase, tally, findings.began)
    yield from summary(findings)
    yield f"report: {findings.folder / REPORT}"


def write(findings: Findings, histories: Sequence[Path], path: Path, heading: str) -> None:
    """The whole report, as text."""
    lines = [heading, ""]
    lines += [
        line(phase, tally, findings.began) for phase, tally in zip(findings.phases, findings.tallies, strict=False)
    ]
    lines += ["", *summary(findings), "", *_histogram(findings)]
    shown = _shown(findings.violations)
    windows = _windows(shown, histories)
    for number, violation in enumerate(shown):
        lines += ["", f"{violation.invariant}, {violation.at - findings.began:.4f} s: {violation.text}"]
        lines += [_event(record, findings.began, violation) for record in windows[number]]
    path.write_text("\n".join(lines) + "\n")


def _shown(violations: Sequence[Violation]) -> list[Violation]:
    """The first few of each invariant."""
    by_invariant: dict[str, list[Violation]] = {}
    for violation in violations:
        by_invariant.setdefault(violation.invariant, []).append(violation)
    return [violation for group in by_invariant.values() for violation in group[:SHOWN]]


def _histogram(findings: Findings) -> Iterator[str]:
    late = {bucket: count for bucket, count in findings.lags.items() if bucket}
    if late:
        yield "lag of the hits that lagged, while something was in doubt or not:"
    for bucket in sorted(late):
        yield f"  up to {bucket * BUCKET_SECONDS:5.2f} s  {late[bucket]:7}"


def _windows(violations: Sequence[Violation], histories: Sequence[Path]) -> list[list[Record]]:
    windows: list[list[Record]] = [[] for _ in violations]
    wanted: dict[int, list[int]] = {}
    for number, violation in enumerate(violations):
        if violation.key is not None:
            wanted.setdefault(violation.key, []).append(number)
    if wanted:
        for fields in read_all(histories):
            for number in wanted.get(fields[3], ()) if fields[0] in (Kind.READ, *WRITES, Kind.COUNT) else ():
                at = violations[number].at
                if fields[6] >= at - WINDOW_SECONDS and fields[5] <= at + WINDOW_SECONDS / 4:
                    windows[number].append(Record(*fields))
    for window in windows:
        window.sort(key=lambda record: record.began)
    return windows


def _event(record: Record, origin: float, violation: Violation) -> str:
    mark = ">" if record.began == violation.at else " "
    return (
        f" {mark} {record.began - origin:9.4f} – {record.ended - origin:9.4f}"
        f"  process {record.writer:5}  epoch {record.epoch:3}  "
        f"{Kind(record.kind).name.lower():5} {key_name(record.key)} = {record.version or 'miss'}"
        f"{'' if record.outcome == Outcome.OK else f' ({Outcome(record.outcome).name.lower()})'}"
    )
