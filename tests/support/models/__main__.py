"""How often the model of the protocol is wrong, as it is and with each rule broken.

python -m support.models              the whole table
python -m support.models CASE RULE N  one line: N random schedules for each kind of fault
"""

import sys

from .protocol import CASES, run


def main():
    if len(sys.argv) > 1:
        case, rule, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
        table = [(case, rule, n)]
    else:
        table = [(case, "ok", 3000) for case in CASES]
        table += [
            ("stable2", "read-repair", 3000),
            ("move", "unleased", 1000),
            ("move", "new-first", 1000),
            ("r2add", "parallel", 2000),
        ]
        table += [
            ("r2add", "flip-together", 3000),
            ("r2add", "no-settle", 20000),
            ("r2add", "bump-narrow", 3000),
            ("stable2", "no-quarantine", 5000),
            ("move", "no-quarantine", 5000),
            ("stable2", "no-bump", 2000),
            ("move", "token-travels", 20000),
        ]
    for case, rule, n in table:
        line = f"{case:8} {rule:14}"
        for label, faults in (
            ("calm", {}),
            ("hang", {"hang": 0.04}),
            ("hang+restart", {"hang": 0.02, "restart": 0.004}),
        ):
            bad = sum(bool(run(seed, case, rule, **faults).wrong) for seed in range(n))
            line += f"  {label}: {bad} of {n} wrong"
        print(line, flush=True)


if __name__ == "__main__":
    main()
