"""A drill from beginning to end."""

import json
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from . import picture, report
from .arena import Arena
from .audit import audit
from .checker import Bounds, Findings, Violation, check
from .faults import FAULTS, HARMLESS
from .nemesis import Nemesis, schedule
from .phase import Phase
from .terms import Terms

PLAN, REPORT, PICTURE = "plan.json", "report.txt", "hit-ratio.svg"


def bounds(terms: Terms) -> Bounds:
    # A call may wait for the proof of the state, then for its own deadline, then for the bump of a lost write; and a
    # busy machine makes everybody wait.
    return Bounds(terms.freshness + terms.timeout, terms.hold, 4 * terms.timeout + 0.2)


def run(terms: Terms, folder: Path | None = None, tell: Callable[[str], None] = lambda line: None) -> Findings:
    """Runs and judges a drill; everything it leaves is in `folder` (a new one by default)."""
    folder = folder or Path(tempfile.mkdtemp(prefix="dcache-drill-"))
    folder.mkdir(parents=True, exist_ok=True)
    names = terms.faults or (HARMLESS if terms.location else tuple(FAULTS))
    episodes = schedule(terms.seed, names, terms.seconds, terms.calm)
    (folder / PLAN).write_text(json.dumps({"terms": asdict(terms), "episodes": episodes}, indent=1))

    def told(phase: Phase) -> None:
        tell(f"{phase.began - nemesis.phases[0].began:7.1f} s  {phase.ended - phase.began:5.1f} s  {phase.name}")

    logging.getLogger("django_dcache").addHandler(logging.NullHandler())
    with Arena(terms, folder) as arena:
        nemesis = Nemesis(arena, told)
        nemesis.run(episodes, time.monotonic() + terms.seconds)
        arena.stop()
        extra = audit(arena) + arena.complaints
        if terms.location:
            arena.sweep()
    (folder / "phases.json").write_text(
        json.dumps({"phases": nemesis.phases, "complaints": [asdict(v) for v in extra]})
    )
    return judge(folder)


def judge(folder: Path) -> Findings:
    """The findings of a drill that is over, from what it left in `folder`; its report is written there."""
    terms = replayed(folder)
    found = json.loads((folder / "phases.json").read_text())
    phases = [Phase(*phase) for phase in found["phases"]]
    histories = sorted(folder.glob("history-*"))
    findings = check(histories, bounds(terms), phases)
    findings.folder = folder
    for complaint in found["complaints"]:
        phase = max((phase.number for phase in phases if phase.began <= complaint["at"]), default=len(phases) - 1)
        findings.blame(Violation(**complaint | {"phase": phase}))
    report.write(findings, histories, folder / REPORT, f"{terms}")
    (folder / PICTURE).write_text(picture.hit_ratio(findings.seconds, phases))
    return findings


def replayed(folder: Path) -> Terms:
    """The terms of the drill in `folder`."""
    terms = json.loads((folder / PLAN).read_text())["terms"]
    return Terms(**terms | {"faults": tuple(terms["faults"]), "location": tuple(terms["location"])})
