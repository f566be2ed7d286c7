"""Nodes that stay away: out by epoch, back as joining nodes; and what a verification finds."""

from collections import deque
from dataclasses import replace

import pytest

from dcache_manager.inspection.verify import Verification
from dcache_manager.rebalance.autopilot import Autopilot
from dcache_manager.rebalance.conductor import Conductor
from django_dcache.conf import parse
from django_dcache.errors import Conflict, InvalidTopology
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.model.state import Control, FleetState
from django_dcache.model.topology import Layout, Node, Topology
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
        self.acts, self._refuse, self.hindered = [], refuse, False

    def __call__(self, fleet):
        return self

    def take_out(self, name):
        if self._refuse:
            raise Conflict
        self.acts.append(("out", name))

    def bring_back(self, name):
        if self.hindered:
            raise Conflict
        self.acts.append(("back", name))

    def run(self, layout):
        self.acts.append(("run", [node.name for node in layout.nodes]))


def watched(seen, answers, conductor, **options):
    """An autopilot with scripted probes and a clock of its own: each look is 10 s after the one before."""
    clock = seen.clock = ManualClock(seen.clock())
    autopilot = Autopilot(seen, 60, 300, lambda fleet, node: answers[node.address].popleft(), conductor, **options)

    def look():
        clock.advance(10)
        return autopilot.look()

    return look


def out(seen, *names):
    """The fleet, whose map has these nodes out of service."""
    state = seen.view.state
    layout = state.topology.layout.without(names)
    seen.view = replace(seen.view, state=replace(state, topology=replace(state.topology, layout=layout)))
    seen.proven_view = lambda: seen.view


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


def test_a_node_that_an_operator_took_out(pair):
    """A node that answers and was taken out by an operator stays out."""
    seen, local = pair
    out(seen, local.addresses[1])
    acts = Recorded()
    look = watched(seen, {address: deque([True] * 9) for address in local.addresses}, acts)
    assert not any(look() for _ in range(9)) and not acts.acts


def test_a_node_that_stays_away(pair):
    """One that is out and silent for long leaves the fleet, so that each key has its copies again; once it answers, it
    joins."""
    seen, local = pair
    a, b, c = local.addresses
    out(seen, b)
    acts = Recorded()
    answers = {a: deque([True] * 50), b: deque([False] * 31), c: deque([True] * 50)}
    look = watched(seen, answers, acts)
    looks = 0
    while not look():
        looks += 1
    assert acts.acts == [("run", [a, c])] and 20 < looks < 31
    answers[b] = deque([True] * 9)
    layout = Layout((Node.at(a), Node.at(c)), 2)
    seen.view = replace(seen.view, state=FleetState(Topology(9, layout)))
    assert sum(bool(look()) for _ in range(7)) == 1
    assert acts.acts[1:] == [("run", [a, c, b])]


def test_where_there_is_no_room_for_copies(pair):
    """With one copy, or with too few nodes left for all copies, a node that stays away keeps its place."""
    seen, local = pair
    a, b, c = local.addresses
    out(seen, b, c)
    acts = Recorded()
    answers = {a: deque([True] * 40), b: deque([False] * 40), c: deque([True] * 40)}
    look = watched(seen, answers, acts)
    assert not any(look() for _ in range(40)) and not acts.acts


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


@pytest.mark.parametrize("hindrance", ["none", "led", "paused", "no conductor's"])
def test_a_resize_that_was_interrupted(pair, hindrance):
    """A resize that no conductor has led for a minute is finished; one that is led, that an operator paused, or that
    the processes make by themselves, is left alone."""
    seen, local = pair
    state = seen.proven_view().state
    goal = replace(state.topology.layout, nodes=state.topology.layout.nodes[:2])
    state = replace(state, topology=state.topology.begin(goal, 0 if hindrance == "no conductor's" else 7))
    state = replace(state, control=Control(9, "pause")) if hindrance == "paused" else state
    seen.view = replace(seen.view, state=state)
    seen.proven_view = lambda: seen.view
    acts, answers = Recorded(), {address: deque([True] * 9) for address in local.addresses}
    look = watched(seen, answers, acts, led=lambda: hindrance == "led")
    said = [line for _ in range(7) for line in look()]
    finished = f"a resize that was interrupted in epoch {state.topology.epoch}, phase prepare: finished"
    assert said == ([finished] if hindrance == "none" else [])
    assert acts.acts == ([("run", local.addresses[:2])] if hindrance == "none" else [])


def test_a_dry_run(pair):
    """It says what it would do, again and again, and does nothing."""
    seen, local = pair
    a, b, c = local.addresses
    acts, answers = Recorded(), {a: deque([True] * 9), b: deque([False] * 9), c: deque([True] * 9)}
    look = watched(seen, answers, acts, dry_run=True)
    said = [line for _ in range(9) for line in look()]
    assert set(said) == {f"would do: {b} has been away for 60 s: taken out of service"} and not acts.acts


def test_a_node_whose_return_was_hindered(pair):
    """A node that the autopilot took out, and that is back while another conductor is at work, is let in afterwards."""
    seen, local = pair
    a, b, c = local.addresses
    acts = Recorded()
    answers = {a: deque([True] * 40), b: deque([False] * 9 + [True] * 31), c: deque([True] * 40)}
    look = watched(seen, answers, acts)
    while not look():
        pass
    out(seen, b)
    acts.hindered = True
    assert not any(look() for _ in range(15))
    acts.hindered = False
    assert look() == [f"{b} is back: filled, and in service again"]


def test_an_operator_after_the_autopilot(pair):
    """A node that the autopilot had taken out, that is back since, and that an operator takes out then, stays out."""
    seen, local = pair
    a, b, c = local.addresses
    acts, answers = Recorded(), {a: deque([True] * 60), b: deque([False] * 9 + [True] * 51), c: deque([True] * 60)}
    look = watched(seen, answers, acts)
    for _ in range(20):
        look()
    out(seen, b)
    assert not any(look() for _ in range(20)) and set(acts.acts) == {("out", b)}
