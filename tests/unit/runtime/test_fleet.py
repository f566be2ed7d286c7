"""The driver: what flows are given, what it learns and what it owes."""

import pytest

from django_dcache.flows import Item, Learn, Owe
from django_dcache.flows.load import fetch_or_load
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model.keys import position
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.model.view import Standing
from support.fleet_in_memory import about_state, make_fleet, pool
from support.scripted_rounds import K, ask, hit, leases, silent, steps

# Loading


def test_loading():
    """A loader may take its time: what it returns is stored over the connection that gave the lease."""
    fleet = make_fleet(leases)

    def load():
        fleet.clock.advance(0.4)
        return Item(16, b"x")

    fleet.run(fetch_or_load, K, load)
    assert pool(fleet).sent[-1] == b"ms k 1 F16 T0 O2 C7\r\nx\r\n"
    assert (pool(fleet).opened, len(pool(fleet).idle)) == (1, 1)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_loader_that_raises(error):
    """What a loader raises comes out as it is; the lease is given back, and the connection is as good as before."""
    fleet = make_fleet(leases)

    def load():
        raise error

    with pytest.raises(type(error)) as raised:
        fleet.run(fetch_or_load, K, load)
    assert raised.value is error
    assert pool(fleet).sent[-1] == b"md k O2 C7\r\n"
    assert len(pool(fleet).idle) == 1


def test_loader_that_uses_the_cache():
    """A loader may use the cache: it gets a connection of its own."""
    fleet = make_fleet(lambda command, number: leases(command, number) if b" k " in command else hit(command, number))
    fleet.run(fetch_or_load, K, lambda: fleet.run(fetch, [b"other"]) and Item(16, b"x"))
    assert pool(fleet).opened == 2 and len(pool(fleet).idle) == 2


def test_view_after_loading():
    """After a long load the flow goes on by a view that is proven again."""
    asked = []

    def answer(command, number):
        if not about_state(command):
            return leases(command, number)
        asked.append(command)
        return None

    fleet = make_fleet(answer)

    def load():
        assert not asked
        fleet.clock.advance(10)
        return None

    fleet.run(fetch_or_load, K, load)
    assert asked


# What it learns


def test_learning():
    """A newer topology is swapped in whole: the view, the nodes that are spoken to, and their connections."""
    fleet = make_fleet(hit, "n,m")
    fleet.run(steps(ask()))
    kept, gone = pool(fleet, "m"), pool(fleet, "n")
    target = Layout((Node.at("m"), Node.at("o")))
    fleet.run(steps(Learn(FleetState(Topology(9, target)), fleet.clock())))
    assert fleet.view.epoch == 9
    assert set(fleet.transport.pools()) == {"m", "o"}
    assert pool(fleet, "m") is kept
    assert gone.lines[0].closed


def test_a_node_with_another_address():
    """A name that moves to another address is another process: nothing is said to the old one any more."""
    fleet = make_fleet(hit)
    old = pool(fleet)
    moved = Layout((Node("n", "10.0.0.9:11211"),))
    fleet.run(steps(Learn(FleetState(Topology(2, moved)))))
    assert pool(fleet) is not old


def test_debts():
    """What could not be told is remembered, and counted."""
    fleet = make_fleet(hit)
    slot = ("n", position(K).slot)
    fleet.run(steps(Owe({slot: 1})))
    assert fleet.view.standing(*slot) is Standing.OWED
    assert fleet.counters["bumps_owed"] == 1


def test_a_lost_write_is_owed_and_paid():
    """A write whose bump nobody hears has failed; once the keeper answers again the debt is paid first of all."""
    fleet = make_fleet(silent)
    slot = ("n", position(K).slot)
    assert not fleet.run(write, {K: None})[K].acknowledged
    assert fleet.view.debts == {slot: 1}
    document = []

    def answer(command, number):
        if command.startswith(b"ms"):
            document.append(command)
        return (b"EN O%d\r\n" if command.startswith(b"mg") else b"HD O%d\r\n") % number

    pool(fleet)._answer = answer
    fleet.clock.advance(10)
    fleet.run(fetch, [K])
    assert not fleet.view.debts
    assert b'"above":{"%d":1}' % slot[1] in document[-2]
    assert b":trace " in document[-1]
