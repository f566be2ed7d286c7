"""python -m tests.support.simulation [CASE FAULTS [RULE [N [FIRST]]]]"""

import sys
import time
from collections.abc import Sequence

from .broken import RULES
from .cases import CASES, FAULTS
from .simulate import simulate


def main(arguments: Sequence[str]) -> int:
    case, faults, rule, count, first = (*arguments, *("", "", "ok", "100", "0")[len(arguments) :])
    lines = [(c, f) for c in CASES for f in FAULTS if case in ("", c) and faults in ("", f)]
    bad = 0
    for c, f in lines:
        bad += line(c, f, rule, int(count), int(first), verbose=len(lines) == 1)
    return bool(bad)


def line(case: str, faults: str, rule: str, count: int, first: int, verbose: bool) -> int:
    wrong, began, reads, hits = [], time.perf_counter(), 0, 0
    for seed in range(first, first + count):
        tell = print if count == 1 else None
        scene = simulate(seed, case, faults, RULES[rule], tell)
        reads, hits = reads + scene.history.reads, hits + scene.history.hits
        if scene.history.wrong:
            wrong.append((seed, scene.history.wrong))
    rate = count / (time.perf_counter() - began)
    print(
        f"{case:9} {faults:8} {rule:14} {len(wrong)} of {count} wrong, "
        f"{hits / max(1, reads):4.0%} of {reads} reads hit, {rate:.0f} schedules/s",
        flush=True,
    )
    for seed, messages in wrong[: 5 if verbose else 1]:
        print(f"    seed {seed}: {messages[0]}")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
