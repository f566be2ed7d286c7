"""A drill from beginning to end."""

import json
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from django_dcache.errors import ConfigurationError

from . import chart, report
from .audit import audit
from .checker import Bounds, Findings, Violation, check
from .faults import HARMLESS, faults_of
from .injector import FaultInjector
from .plan import Plan
from .schedule import Phase, schedule
from .testbed import Testbed

PLAN, CHART = "plan.json", "hit-ratio.svg"


def bounds(plan: Plan) -> Bounds:
    # A call may wait for the proof of the state, then for its own deadline, then for the bump of a lost write; and
    # on a busy machine every call waits.
    calm = plan.freshness if plan.near else 0.0
    return Bounds(plan.freshness + plan.timeout, plan.hold, 4 * plan.timeout + 0.2, calm, plan.freshness)


def run(plan: Plan, folder: Path | None = None, tell: Callable[[str], None] = lambda line: None) -> Findings:
    """Runs and judges a drill; everything it leaves is in `folder` (a new one by default). Raises ConfigurationError,
    before anything starts, if another drill has left something there."""
    folder = folder or Path(tempfile.mkdtemp(prefix="dcache-drill-"))
    if (folder / PLAN).exists():
        raise ConfigurationError(f"{folder} holds the histories of another drill: name a new folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    names = plan.faults or (HARMLESS if plan.location else faults_of(plan.engine))
    episodes = schedule(plan.seed, names, plan.seconds, plan.calm)
    (folder / PLAN).write_text(json.dumps({"plan": asdict(plan), "episodes": episodes}, indent=1))

    def told(phase: Phase) -> None:
        tell(f"{phase.began - injector.phases[0].began:7.1f} s  {phase.ended - phase.began:5.1f} s  {phase.name}")

    logging.getLogger("django_dcache").addHandler(logging.NullHandler())
    with Testbed(plan, folder) as testbed:
        injector = FaultInjector(testbed, told)
        injector.run(episodes, time.monotonic() + plan.seconds)
        testbed.stop()
        extra = audit(testbed) + testbed.complaints
        if plan.location:
            testbed.sweep()
    (folder / "phases.json").write_text(
        json.dumps({"phases": injector.phases, "ill": testbed.monitor.ill, "complaints": [asdict(v) for v in extra]})
    )
    return judge(folder)


def judge(folder: Path) -> Findings:
    """The findings of a drill that is over, from what it left in `folder`; its report is written there."""
    plan = replayed(folder)
    found = json.loads((folder / "phases.json").read_text())
    phases = [Phase(*phase) for phase in found["phases"]]
    histories = sorted(folder.glob("history-*"))
    findings = check(histories, bounds(plan), phases, found.get("ill", ()))
    findings.folder = folder
    for complaint in found["complaints"]:
        phase = max((phase.number for phase in phases if phase.began <= complaint["at"]), default=len(phases) - 1)
        findings.blame(Violation(**complaint | {"phase": phase}))
    report.write(findings, histories, folder / report.REPORT, f"{plan}")
    (folder / CHART).write_text(chart.hit_ratio(findings.seconds, phases))
    return findings


def replayed(folder: Path) -> Plan:
    """The plan of the drill in `folder`."""
    plan = json.loads((folder / PLAN).read_text())["plan"]
    return Plan(**plan | {"faults": tuple(plan["faults"]), "location": tuple(plan["location"])})
