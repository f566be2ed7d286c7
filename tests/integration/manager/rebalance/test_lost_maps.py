"""A fleet whose map the keepers lost, and a node that still has it."""

import pytest

from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.target import Target
from dcache_manager.rebalance.conductor import Conductor
from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model.state import state_key, trace_key
from django_dcache.model.topology import Node, Phase
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import ManualClock
from support.conductors import changed

NAMES = [b"key:%d" % number for number in range(60)]
WALL = 1_800_000_000.0
HOUR = 3600.0


@pytest.fixture
def start():
    """Starts a process: `start(nodes, wall)`, with these nodes in LOCATION, at this time of day."""
    clock, started = ManualClock(), []

    def process(nodes, wall=WALL):
        location = [node.address for node in nodes]
        started.append(Fleet(parse("f", location, {"timeout": 5.0, "connect_timeout": 5.0}), clock, lambda: wall))
        started[-1].proven_view()
        return started[-1]

    process.clock = clock
    yield process
    for fleet in started:
        fleet.close()


def store(fleet, data):
    assert all(outcome.successful for outcome in fleet.run(write, {name: Item(0, data) for name in NAMES}).values())


def resize(start, fleet, **changes):
    assert Conductor(fleet, sleep=start.clock.advance).run(changed(fleet, **changes)).state == "done"


def lose_the_map(nodes):
    for node in nodes:
        for key in (state_key("f"), trace_key("f")):
            node.ask(b"md %b\r\n" % key)


@pytest.mark.parametrize("planted", [WALL + HOUR, WALL - HOUR], ids=["later", "by a clock that is behind"])
def test_a_node_that_has_it_joins(fleet, start, planted):
    """It brings nothing back: the fleet keeps its epochs, its layout and every value."""
    first, *others = fleet(4).nodes
    before = start([first, *others[:2]])
    resize(start, before, add=[others[2].address], remove=[first.address])
    many = before.view.epoch
    start([first, *others[:2]])  # One whose LOCATION is of the time before: it leaves a word where it looked.
    assert b"prepare" not in first.ask(b"mg %b v\r\n" % state_key("f")) != b"EN\r\n"
    before.close()
    lose_the_map(others)

    process = start(others, planted)
    store(process, b"new")
    seen = look(Target("f", process.configuration), 5.0, [Node.at(first.address)])
    assert seen.topology == process.view.state.topology and seen.proven
    resize(start, process, add=[first.address])
    for reader in (process, start([first], planted), start(others, planted)):
        topology = reader.proven_view().state.topology
        assert topology.phase is Phase.STABLE and topology.epoch <= many
        assert {node.name for node in topology.layout.nodes} == {node.address for node in (first, *others)}
        assert {name: found.data for name, found in reader.run(fetch, NAMES).items()} == dict.fromkeys(NAMES, b"new")
