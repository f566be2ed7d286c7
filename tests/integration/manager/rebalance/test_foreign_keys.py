"""Keys on the nodes that no client of ours made: other software's, or planted. None of them ends a pass over a node."""

import time
from contextlib import ExitStack

import pytest

from dcache_manager.inspection.verify import Verification
from dcache_manager.invalidation.prefix_sweep import sweep
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.snapshot.dump import Dump
from dcache_manager.snapshot.file import Writer
from dcache_manager.snapshot.format import Header
from dcache_manager.throttle import Throttle
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.testing import LocalFleet, ManualClock
from support.conductors import changed, connected

OPTIONS = {"timeout": 5.0, "connect_timeout": 5.0}
NAMES = [b":1:key:%d" % number for number in range(300)]
FOREIGN = [
    b"\xff#",
    b"\xff#" + b"x" * 96,
    b"\xff" + b"9" * 240 + b";a",
    b"\xff7;\xff8;a",
    b"\xff~;a",
    b"\xff",
    b"k" * 250,
    b"\x80\x81",
    b":1:key:\xff",
]


@pytest.fixture
def poisoned():
    """A fleet of three nodes as one process sees it, with keys of ours and of others; and a fourth node."""
    with ExitStack() as stack:
        nodes, clock = stack.enter_context(LocalFleet(3)), ManualClock()
        fleet = stack.enter_context(connected(nodes.addresses, OPTIONS, clock))
        fleet.run(write, dict.fromkeys(NAMES, Item(0, b"ours", 3600)))
        for node in [*nodes.nodes, nodes.add()]:
            for key in FOREIGN:
                assert node.ask(b"set %b 0 0 1\r\nx\r\n" % key) == b"STORED\r\n"
        yield nodes, fleet, clock


def test_a_resize(poisoned):
    """A resize there and back ends, and every key of ours is where it belongs."""
    nodes, fleet, clock = poisoned
    added = nodes.addresses[-1]
    for change in ({"add": [added]}, {"remove": [added]}):
        assert Conductor(fleet, sleep=clock.advance).run(changed(fleet, **change)).state == "done"
        assert len(fleet.run(fetch, NAMES)) == len(NAMES)
        assert Verification(fleet, clock.advance).run().clean


def test_a_sweep(poisoned):
    """Keys below a prefix are deleted beside them, and the sweep says that it was complete."""
    _, fleet, _ = poisoned
    swept = sweep(fleet, ":1:key:")
    assert swept.complete and not fleet.run(fetch, NAMES)


def test_a_snapshot(poisoned, tmp_path):
    """A snapshot holds every key of ours."""
    _, fleet, _ = poisoned
    throttle = Throttle(None, 1.0, fleet.clock, time.sleep)
    with Writer(tmp_path / "snapshot", Header("default", "default", time.time())) as writer:
        dumped = Dump(fleet, writer, throttle, Progress("", ""), lambda: None, b":1:key:").run()
    assert dumped.complete and dumped.items == len(NAMES)
