"""A fleet is resized while processes read, write and count on it through Django, and nobody notices.

DCACHE_TEST_SCALE=full: 20,000 keys, and a conductor killed ten times (minutes); else 4,000 keys and two kills.

On a machine so busy that replies come too late the promise is another one: what may be wrong is forgotten, and counted.
The tests print how many slots were, and at full scale there may be none.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcache_manager.cli.exit_codes import Exit
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance.conductor import Conductor
from django_dcache.testing import LocalFleet

from .conductors import Lead, changed, connected
from .inspection import inspect
from .load import Load

FULL = os.environ.get("DCACHE_TEST_SCALE") == "full"
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
KEYS, COUNTERS, KILLS = (20_000, 500, 10) if FULL else (4_000, 200, 2)
OPTIONS: dict[str, Any] = {"freshness": 0.3, "timeout": 0.35}
MEMORY = 256

Fleets = Callable[..., LocalFleet]


def assert_unnoticed(nodes: LocalFleet, load: Load, must_be_calm: bool = FULL, moves: int = 2) -> None:
    """Nothing stale and no exception; hits as before; no counter backwards or too high. And every unexpired key lies
    where it belongs, with value, flags and TTL, and nowhere else. `must_be_calm`: no reply came too late."""
    findings, events = load.stop(), load.findings.events
    with connected(nodes.addresses, OPTIONS) as fleet:
        found = inspect(fleet, nodes.nodes, load.truth, moves)
        forgotten = sum(256 if slots.floor else len(slots.above) for slots in fleet.view.state.generations.values())
    print(
        f"{dict(events)}\n{sum(findings.reads.values())} reads that had to hit, worst miss ratio of any half second "
        f"{findings.worst_miss_ratio:.2%}, worst lag {findings.worst_lag:.3f} s\n{found.checked} keys in place, "
        f"{found.excused} forgotten ({forgotten} slots), "
        f"TTLs {min(found.ttl_errors):.1f} to {max(found.ttl_errors):+.1f} s off"
    )
    calm = not forgotten
    assert calm or not must_be_calm
    assert sum(findings.reads.values()) > 1000 and found.checked > KEYS / 2
    assert findings.worst_miss_ratio < 0.01
    assert findings.worst_lag <= (0 if calm else OPTIONS["freshness"] + OPTIONS["timeout"])
    assert events["counter lost"] <= events["incr calls"] / 1000
    for never in UNSEEN:
        assert not events[never], findings.wrong
    assert not findings.repeated_numbers
    assert not found.missing and not found.different[:5] and not found.strays
    if calm:
        for odd in ("refused sets", "add found nothing", "add found something", "touch found nothing"):
            assert not events[odd], findings.wrong
        for counter, numbers in findings.numbers.items():
            if not load.truth.lives[counter]:
                assert [int(copy.data) for copy in found.counter(counter)] == [len(numbers)]


def test_grow_and_shrink_under_load(fleet: Fleets) -> None:
    """From 3 nodes to 4 and back to 3 under load nothing is stale, lost or left behind, and no call raises."""
    nodes = fleet(3, memory=MEMORY)
    addresses = list(nodes.addresses)
    changes = {"add": [nodes.add().address]}, {"remove": [addresses[0]]}
    with connected(addresses, OPTIONS) as ours, Load(addresses, OPTIONS, KEYS, COUNTERS) as load:
        for change in changes:
            progress = Conductor(ours).run(changed(ours, **change))
            print(f"{progress.moved} keys moved at {progress.rate:.0f} a second")
            assert progress.moved
            assert not progress.notes
        assert_unnoticed(nodes, load)


def test_killed_conductor(fleet: Fleets, tmp_path: Path) -> None:
    """However often the conductor is killed with -9, at whatever moment, the next run goes on and nothing is lost."""
    nodes, chance = fleet(3, memory=MEMORY), random.Random(11)
    addresses = list(nodes.addresses)
    kills, done = 0, 0
    change = ["--add", nodes.add().address]
    with Load(addresses, OPTIONS, KEYS, COUNTERS) as load:
        while kills < KILLS or not done:
            with Lead(addresses, OPTIONS, tmp_path, *change) as lead:
                code = lead.ended(chance.uniform(0, 4) if kills < KILLS else 120)
            if code is None:
                kills += 1
                expire_lease(nodes)
            elif code == Exit.OK:
                done += 1
                change = ["--remove", nodes.addresses[done // 2]] if done % 2 else ["--add", nodes.add().address]
            else:
                assert "Too few keepers" in lead.said[-1], lead.said  # A busy machine has killed it, so to speak.
        assert_unnoticed(nodes, load)


@pytest.mark.parametrize("phase", ["copy", "flip"] if FULL else ["copy"])
def test_replicas_under_load_while_a_node_dies(fleet: Fleets, phase: str) -> None:
    """With two replicas a source that dies in copy, or a joining node that dies in flip, makes nothing stale beyond
    `freshness`, loses no key and raises nothing."""
    options = OPTIONS | {"replicas": 2}
    nodes = fleet(3, memory=MEMORY)
    addresses, added = list(nodes.addresses), nodes.add()
    victim = nodes.nodes[1] if phase == "copy" else added

    def report(progress: Progress) -> None:
        if progress.phase == phase:
            victim.kill()

    with connected(addresses, options) as ours, Load(addresses, options, KEYS, COUNTERS) as load:
        Conductor(ours, report=report).run(changed(ours, add=[added.address]))
        assert not victim.running
        findings = load.stop()
        found = inspect(ours, nodes.nodes, load.truth)
        print(f"{dict(findings.events)}, worst lag {findings.worst_lag:.3f} s")
        for never in UNSEEN:
            assert not findings.events[never], findings.wrong
        assert findings.worst_lag <= OPTIONS["freshness"] + OPTIONS["timeout"]
        assert findings.worst_miss_ratio < 0.01
        assert not found.different and not found.strays
        assert not [missing for missing in found.missing if not missing.endswith(victim.address)]


def expire_lease(nodes: LocalFleet) -> None:
    """What six seconds do to a dead conductor's lease."""
    for node in nodes.nodes:
        node.ask(b"md _dc:default:conductor\r\n")
