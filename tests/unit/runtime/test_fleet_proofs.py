"""The driver's proofs: when the fleet's state is asked for again, by which caller, and what a failed one leads to."""

import logging
import threading
from dataclasses import replace

import pytest

from django_dcache.commands import Value
from django_dcache.conf import parse
from django_dcache.flows import Learn
from django_dcache.flows.read import fetch
from django_dcache.model.documents import UNSIGNED
from django_dcache.model.owner import Owner
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Topology
from support.fleet_in_memory import about_state, make_fleet, pool
from support.scripted_rounds import K, hit, silent

HALF = 0.5
"""Half of `freshness`: after that a view is proven again."""

# Proofs


def keeper(fleet_state, asked):
    """A node that keeps the fleet state and notes when it was asked for it."""
    from zlib import crc32

    def answer(command, number):
        if about_state(command):
            asked.append(command)
            return b"HD s1 f%d O%d\r\n" % (crc32(fleet_state().encode()), number)
        return hit(command, number)

    return answer


def test_a_busy_process():
    """A busy process proves its view once in half of `freshness`."""
    asked = []
    fleet = make_fleet(keeper(lambda: fleet.view.state, asked))
    for _ in range(100):
        fleet.run(fetch, [K])
        fleet.clock.advance(0.05)
    assert len(asked) == pytest.approx(5 / HALF, abs=1)
    assert fleet.proven and fleet.staleness_bound() < 1.25


def test_a_failed_proof():
    """A proof that fails is not tried again by every call, and is counted and logged."""
    fleet = make_fleet(lambda command, number: None if about_state(command) else hit(command, number), proven=False)
    for _ in range(100):
        fleet.run(fetch, [K])
    assert fleet.counters["unproven"] == 1 and not fleet.proven
    fleet.clock.advance(HALF)
    fleet.run(fetch, [K])
    assert fleet.counters["unproven"] == 2


def test_a_proof_that_fails_early():
    """While the last proof is good a failed attempt is followed by another one, before any operation fails."""
    fails = []
    fleet = make_fleet(lambda command, number: fails.append(command) if about_state(command) else hit(command, number))
    while fleet.proven:
        fleet.run(fetch, [K])
        fleet.clock.advance(0.05)
    assert fleet.counters["unproven"] >= 2


def test_a_node_fails():
    """When a node fails that had answered, the view is proven again as soon as the node may be accused."""
    fleet = make_fleet(hit)
    usual = fleet.renew_at
    fleet.reports.node_fails()
    assert fleet.renew_at == fleet.plain_until == fleet.clock.now + fleet.options.eject_after / 8 < usual
    fleet.clock.advance(0.1)
    fleet.reports.node_fails()
    assert fleet.renew_at < fleet.clock.now + fleet.options.eject_after / 8
    fleet = make_fleet(hit, eject_after=0.0)
    usual = fleet.renew_at
    fleet.reports.node_fails()
    assert fleet.renew_at == usual


def test_a_node_that_others_take_back():
    """Once others have taken a node back this process writes there too, although its own next probe is not due."""
    fleet = make_fleet(hit, ["n", "m"])
    layout = fleet.view.state.topology.layout
    out = fleet.view.state.topology.served_by(layout.without({"n"}))
    fleet.learn(Learn(replace(fleet.view.state, topology=out), fleet.clock.now))
    breaker = pool(fleet).breaker
    breaker.failed(absent=True)
    assert not breaker.admits()
    fleet.learn(Learn(replace(fleet.view.state, topology=out.begin(layout)), fleet.clock.now))
    assert breaker.admits() and breaker.admits()


def test_keepers_are_awaited():
    """While nothing can be proven the keepers are awaited, and probed soon; after a proof they are not."""
    silences, answer = [], keeper(lambda: fleet.view.state, [])
    fleet = make_fleet(lambda command, number: None if silences else answer(command, number))
    silences.append(True)
    fleet.clock.advance(HALF)
    fleet.run(fetch, [K])
    assert fleet.transport.awaited == fleet.view.state.topology.all_keepers
    silences.clear()
    fleet.clock.advance(2 * HALF)
    fleet.run(fetch, [K])
    assert fleet.proven and not fleet.transport.awaited


def test_a_failed_proof_is_logged(caplog):
    """A log line says that the fleet state could not be proven, and what is done instead."""
    fleet = make_fleet(silent, proven=False)
    with caplog.at_level(logging.WARNING, "django_dcache"):
        fleet.run(fetch, [K])
    assert [record.action for record in caplog.records] == ["state_unproven"]
    assert "on_unproven='miss'" in caplog.text


def test_the_first_proof():
    """A process that could not prove anything yet tries again soon."""
    fleet = make_fleet(silent, proven=False)
    began = fleet.begin()
    assert 0 < fleet.renew_at - began <= 0.05


def test_another_projects_fleet(caplog):
    """Where the nodes hold another project's fleet nothing is found, and the log says what to set."""
    theirs = FleetState(Topology(1, parse("f", "n").layout)).owned_by(Owner(("@theirs",))).encode()

    def answer(command, number):
        return b"VA %d f0 c1 O%d\r\n%b\r\n" % (len(theirs), number, theirs)

    fleet = make_fleet(answer, proven=False)
    fleet.view = replace(fleet.view, owner=Owner(("@ours",)), documents=UNSIGNED)
    with caplog.at_level(logging.ERROR, "django_dcache"):
        for _ in range(3):
            fleet.clock.advance(10)
            fleet.begin()
    assert not fleet.proven and fleet.view.epoch == 0
    assert [record.action for record in caplog.records if record.levelname == "ERROR"] == ["state_refused"]
    assert 'OPTIONS["fleet"]' in caplog.text


def test_a_refused_state(caplog):
    """A keeper whose state is not to be believed is counted each time, and named in the log once a minute."""
    forged = FleetState(Topology(9, parse("f", "6.6.6.6").layout)).encode()
    answer = b"VA %d f0 c1 O%%d\r\n%b\r\n" % (len(forged), forged)
    fleet = make_fleet(lambda command, number: answer % number, proven=False)
    with caplog.at_level(logging.ERROR, "django_dcache"):
        for _ in range(13):
            fleet.begin()
            fleet.clock.advance(10)
    assert list(fleet.view.state.topology.nodes) == ["n"]
    assert fleet.counters["refused_states"] == 13
    records = [record for record in caplog.records if record.action == "state_refused"]
    assert [record.node for record in records] == ["n"] * 3
    assert "not signed" in caplog.text and "state repair" in caplog.text


def test_an_interrupted_proof():
    """A proof that is broken off stops nobody after it."""
    fleet = make_fleet(lambda command, number: KeyboardInterrupt(), proven=False)
    with pytest.raises(KeyboardInterrupt):
        fleet.run(fetch, [K])
    pool(fleet)._answer = hit
    assert fleet.run(fetch, [K]) == {K: Value(b"x", 16)}


@pytest.mark.parametrize(("age", "waits"), [(0.7, False), (1.1, True)])
def test_one_caller_proves(age, waits):
    """While one caller renews a proof that is still good, the others go on; one that is too old is waited for."""
    asking, told = threading.Event(), threading.Event()
    asked = []

    def slow(command, number):
        asking.set()
        told.wait(10)
        return real(command, number)

    fleet = make_fleet(lambda command, number: slow(command, number) if about_state(command) else hit(command, number))
    real = keeper(lambda: fleet.view.state, asked)
    fleet.clock.advance(age)
    prover = threading.Thread(target=fleet.run, args=(fetch, [K]))
    prover.start()
    asking.wait(10)
    other = threading.Thread(target=fleet.run, args=(fetch, [K]))
    other.start()
    other.join(0.2 if waits else 10)
    assert other.is_alive() is waits
    told.set()
    prover.join(10)
    other.join(10)
    assert len(asked) == 1
