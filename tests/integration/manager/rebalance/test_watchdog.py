"""Nodes that stay away: out by epoch, back as joining nodes; and what a verification finds."""

from collections import deque

import pytest

from dcache_manager.inspection.verify import Verification
from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.rebalance.watchdog import Watchdog
from django_dcache.conf import parse
from django_dcache.errors import Conflict, InvalidTopology
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import ManualClock

NAMES = [keys.name(f"key-{number}") for number in range(1500)]


@pytest.fixture
def pair(fleet):
    """Three nodes with two replicas of every key: (Fleet, LocalFleet)."""
    local = fleet(3, memory=32)
    options = {"replicas": 2, "timeout": 0.8, "connect_timeout": 0.8, "freshness": 0.6}
    seen = Fleet(parse("default", local.addresses, options))
    try:
        for start in range(0, len(NAMES), 100):
            outcomes = seen.run(write, dict.fromkeys(NAMES[start : start + 100], Item(0, b"value")))
            assert all(outcome.successful for outcome in outcomes.values())
        yield seen, local
    finally:
        seen.close()


def hits(fleet):
    return len(fleet.run(fetch, NAMES))


def held(node):
    return sum(not name.startswith(b"_dc:") for name in node.items())


def test_a_node_out_of_service_costs_no_hit_and_comes_back_full(pair):
    """Taken out, its share is served by the others; brought back, it is filled before it is read; nothing is lost."""
    seen, local = pair
    gone = local.nodes[1]
    before = held(gone)
    gone.kill()
    assert len(NAMES) == hits(seen)
    Conductor(seen).take_out(gone.address)
    assert seen.view.state.topology.nodes[gone.address].out
    assert all(gone.address not in seen.view.place(name).route.read for name in NAMES)
    assert len(NAMES) == hits(seen)
    gone.restart()
    report = Conductor(seen).bring_back(gone.address)
    assert before == held(gone) == report.moved
    assert len(NAMES) == hits(seen)


def test_what_a_returned_node_still_held_is_not_read(pair):
    """A node that was away with its memory intact serves nothing of what it held, though nobody deleted it there."""
    seen, local = pair
    away = local.nodes[0]
    Conductor(seen).take_out(away.address)
    seen.run(write, dict.fromkeys(NAMES))
    assert held(away)
    Conductor(seen).bring_back(away.address)
    assert 0 == hits(seen)


def test_the_last_node_in_service_can_not_be_taken_out(pair):
    """Taking out one node after the other ends with a clear error before the last one."""
    seen, local = pair
    for address in local.addresses[:2]:
        Conductor(seen).take_out(address)
    with pytest.raises(InvalidTopology, match="last node"):
        Conductor(seen).take_out(local.addresses[2])


def test_a_verification_finds_nothing_in_a_healthy_fleet(pair):
    """Every key is counted with its copies, and nothing is wrong with them."""
    seen, _ = pair
    found = Verification(seen, sleep=lambda seconds: None).run()
    assert (len(NAMES), 2 * len(NAMES), True) == (found.keys, found.copies, found.clean)
    assert not found.missing


def test_copies_that_differ_are_found_and_repaired(pair):
    """A copy that was changed behind the fleet's back is found, named, and with `repair` both copies are deleted."""
    seen, local = pair
    second = seen.view.place(NAMES[0]).route.read[1]
    node = next(node for node in local.nodes if node.address == second)
    node.ask(b"ms %b 5\r\nother\r\nmn\r\n" % NAMES[0])
    found = Verification(seen, sleep=lambda seconds: None).run()
    assert (1, ["key-0"], 0) == (found.divergent, found.examples, found.repaired)
    assert 1 == Verification(seen, sleep=lambda seconds: None).run(repair=True).repaired
    assert Verification(seen, sleep=lambda seconds: None).run().clean
    assert NAMES[0] not in seen.run(fetch, NAMES)


def test_strays_and_missing_copies_are_found(pair):
    """A copy where it does not belong is counted and swept; a copy that is missing is counted, by node."""
    seen, local = pair
    route = seen.view.place(NAMES[0]).route
    stranger = next(node for node in local.nodes if node.address not in route.read)
    stranger.ask(b"ms %b 5\r\nvalue\r\nmn\r\n" % NAMES[0])
    owner = next(node for node in local.nodes if node.address == route.read[0])
    owner.ask(b"md %b\r\nmn\r\n" % NAMES[0])
    found = Verification(seen, sleep=lambda seconds: None).run(repair=True)
    assert ({stranger.address: 1}, {owner.address: 1}, 1) == (found.strays, found.missing, found.repaired)
    assert len(NAMES) == hits(seen)


class Recorded:
    """Stands in for a Conductor: says what it was asked to do."""

    def __init__(self, refuse=False):
        self.acts, self._refuse = [], refuse

    def __call__(self, fleet):
        return self

    def take_out(self, name):
        if self._refuse:
            raise Conflict
        self.acts.append(("out", name))

    def bring_back(self, name):
        self.acts.append(("back", name))


def watched(seen, answers, conductor):
    """A Watchdog with scripted probes and a clock of its own: each look is 10 s after the one before."""
    clock = seen.clock = ManualClock(seen.clock())
    watch = Watchdog(seen, 60, probe=lambda fleet, node: answers[node.address].popleft(), conductor=conductor)

    def look():
        clock.advance(10)
        return watch.look()

    return look


def test_a_node_away_for_most_of_the_time_is_taken_out(pair):
    """Most probes of `eject_after` seconds have to fail, the last one too; a node that only flickers stays in."""
    seen, local = pair
    a, b, c = local.addresses
    acts = Recorded()
    answers = {a: deque([True] * 9), b: deque([False] * 9), c: deque([False, True] * 4 + [True])}
    look = watched(seen, answers, acts)
    for _ in range(9):
        look()
    assert {("out", b)} == set(acts.acts)


def test_a_watcher_that_is_cut_off_itself_decides_nothing(pair):
    """When most of the fleet seems away it is the watcher that is, and every node stays in service."""
    seen, local = pair
    acts = Recorded()
    answers = {address: deque([address == local.addresses[0]] * 9) for address in local.addresses}
    look = watched(seen, answers, acts)
    for _ in range(9):
        look()
    assert [] == acts.acts


def test_a_watcher_leaves_a_fleet_alone_that_somebody_leads(pair):
    """A conductor at work is not disturbed, and no error is reported."""
    seen, local = pair
    a, b, c = local.addresses
    look = watched(seen, {a: deque([True] * 9), b: deque([False] * 9), c: deque([True] * 9)}, Recorded(refuse=True))
    assert [] == [line for _ in range(9) for line in look()]
