"""`python -m tests.support.planted_mistakes MISTAKE [SECONDS [SEED]]`: a drill of the product with a mistake in it."""

import sys

from dcache_drill import drill, report

from . import MISTAKES, plan

if __name__ == "__main__":
    name, seconds, seed = [*sys.argv[1:], *("", "30", "1")[len(sys.argv) - 1 :]]
    if name not in MISTAKES:
        lines = [f"  {name:24}{mistake.plant.__doc__}" for name, mistake in MISTAKES.items()]
        sys.exit("\n".join([str(__doc__), *lines]))
    findings = drill.run(plan(name, seconds=float(seconds), seed=int(seed)), tell=print)
    print(*report.verdict(findings), sep="\n")
    sys.exit(not findings.total)
