"""What a load may never notice of a resize."""

from typing import Any

from django_dcache.testing import LocalFleet
from support.conductors import connected
from support.load.node_contents import inspect
from support.load.processes import Load
from support.scale import FULL

UNSEEN = (
    "exception",
    "wrong value",
    "undead",
    "counter backwards",
    "counter behind",
    "counter too high",
    "worker died",
)
"""Events that may never happen while keys move."""
KEYS, COUNTERS = (20_000, 500) if FULL else (4_000, 200)
OPTIONS: dict[str, Any] = {"freshness": 0.3, "timeout": 0.35}
PATIENT: dict[str, Any] = OPTIONS | {"timeout": 2.0, "connect_timeout": 5.0}
"""Of nodes in Java, which compiles what it does while it does it for the first times."""


def assert_unnoticed(
    nodes: LocalFleet, load: Load, must_be_calm: bool = FULL, moves: int = 2, options: dict[str, Any] = OPTIONS
) -> None:
    """Nothing stale and no exception; hits as before; no counter backwards or too high. And every unexpired key lies
    where it belongs, with value, flags and TTL, and nowhere else. `must_be_calm`: hardly any reply came too late,
    and nothing was forgotten without that."""
    findings, events = load.stop(), load.findings.events
    with connected(nodes.addresses, options) as fleet:
        found = inspect(fleet, nodes.nodes, load.truth, findings.bumps, moves)
    forgotten = findings.bumps.slots
    print(
        f"{dict(events)}\n{sum(findings.reads.values())} reads that had to hit, worst miss ratio of any half second "
        f"{findings.worst_miss_ratio:.2%}, worst lag {findings.worst_lag:.3f} s\n{found.checked} keys in place, "
        f"{found.excused} forgotten ({forgotten} slots), "
        f"TTLs {min(found.ttl_errors):.1f} to {max(found.ttl_errors):+.1f} s off"
    )
    calm = not forgotten
    assert calm or events["withheld"] or not must_be_calm, "slots were forgotten though every reply came in time"
    assert sum(findings.reads.values()) > 1000 and found.checked > load.truth.keys / 2
    assert findings.worst_miss_ratio < 0.01, findings.wrong
    assert events["withheld reads"] < sum(findings.reads.values()) / (100 if must_be_calm else 10)
    assert findings.worst_lag <= (0 if calm else options["freshness"] + options["timeout"])
    assert events["counter lost"] <= events["incr calls"] / 1000
    for never in UNSEEN:
        assert not events[never], findings.wrong
    assert not findings.repeated_numbers
    assert not found.missing, found.missing[:5]
    assert not found.different and not found.other_ttl, (found.different + found.other_ttl)[:5]
    assert not found.strays, found.strays[:5]
    if calm and not events["withheld"]:
        for odd in ("refused sets", "add found nothing", "add found something", "touch found nothing"):
            assert not events[odd], findings.wrong
        for counter, numbers in findings.numbers.items():
            if not load.truth.lives[counter]:
                assert [int(copy.data) for copy in found.counter(counter)] == [len(numbers)]
