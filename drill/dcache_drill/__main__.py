"""`python -m dcache_drill`: what script/drill runs. It needs no manager but for resizes."""

import argparse
import sys
from pathlib import Path

from django_dcache.errors import ConfigurationError

from . import drill, report
from .faults import FAULTS, faults_of
from .plan import ENGINES, Plan


def main() -> int:
    """0: nothing wrong was seen; 1: something was."""
    parser = argparse.ArgumentParser(
        prog="script/drill", description="Break a fleet in every way there is, and check every answer."
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=Plan.seed, help="selects what is broken when")
    parser.add_argument("--replicas", type=int, default=Plan.replicas)
    parser.add_argument("--near", action="store_true", help="give each worker a near cache")
    parser.add_argument("--on-unproven", default=Plan.on_unproven, choices=("serve", "miss"))
    parser.add_argument("--engine", default=Plan.engine, choices=ENGINES, help="of the nodes that it starts")
    names = ", ".join(FAULTS)
    parser.add_argument("--faults", default="", metavar="NAME,…", help=f"inject only these of {names}")
    parser.add_argument("--rate", type=float, help="operations a second of each process")
    parser.add_argument("--plugin", default="", metavar="MODULE:FUNCTION", help="called first in every process")
    parser.add_argument("--folder", type=Path, help="where the histories and the report go")
    parser.add_argument("--replay", type=Path, metavar="FOLDER", help="run the drill in FOLDER again")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="run nothing, judge what is in FOLDER again")
    given = parser.parse_args()
    faults = tuple(filter(None, given.faults.split(",")))
    known = faults_of(given.engine)
    if unknown := [name for fault in faults for name in fault.split("+") if name not in known]:
        parser.error(f"no fault {unknown[0]!r} on {given.engine}; choose from {', '.join(known)}")
    plan = Plan.on(
        given.engine,
        seed=given.seed,
        seconds=given.minutes * 60,
        replicas=given.replicas,
        near=given.near,
        on_unproven=given.on_unproven,
        faults=faults,
        rate=given.rate,
        plugin=given.plugin,
    )
    if given.replay:
        plan = drill.replayed(given.replay)
    try:
        findings = drill.judge(given.judge) if given.judge else drill.run(plan, given.folder, print)
    except ConfigurationError as error:
        parser.error(str(error))
    print(*report.verdict(findings), sep="\n")
    return 1 if findings.total else 0


if __name__ == "__main__":
    sys.exit(main())
