"""`python -m dcache_drill`: what script/drill runs."""

import argparse
import sys
from pathlib import Path

from . import drill, report
from .faults import FAULTS
from .teeth import TEETH, terms
from .terms import Terms


def main() -> int:
    """0: nothing wrong was seen; 1: something was."""
    parser = argparse.ArgumentParser(
        prog="script/drill", description="Break a fleet in every way there is, and check every answer."
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--on-unproven", default=Terms.on_unproven, choices=("serve", "miss"))
    parser.add_argument("--faults", default="", metavar="NAME,…", help=f"only these of {', '.join(FAULTS)}")
    parser.add_argument("--rate", type=float, help="operations a second of each process")
    parser.add_argument(
        "--bug", default="", choices=TEETH, help="a mistake to be planted in a copy of the product, by its own seed"
    )
    parser.add_argument("--folder", type=Path, help="where the histories and the report go")
    parser.add_argument("--replay", type=Path, metavar="FOLDER", help="run the drill in FOLDER again")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="run nothing, judge what is in FOLDER again")
    given = parser.parse_args()
    chosen = {"seconds": given.minutes * 60} | ({"rate": given.rate} if given.rate else {})
    if given.bug:
        plan = terms(given.bug, **chosen)
    else:
        plan = Terms(
            seed=given.seed,
            replicas=given.replicas,
            on_unproven=given.on_unproven,
            faults=tuple(filter(None, given.faults.split(","))),
            **chosen,
        )
    if given.replay:
        plan = drill.replayed(given.replay)
    findings = drill.judge(given.judge) if given.judge else drill.run(plan, given.folder, print)
    for phase, tally in zip(findings.phases, findings.tallies, strict=False):
        print(report.line(phase, tally, findings.began))
    print(*report.summary(findings), sep="\n")
    print(f"report: {findings.folder / drill.REPORT}")
    return 1 if findings.total else 0


if __name__ == "__main__":
    sys.exit(main())
