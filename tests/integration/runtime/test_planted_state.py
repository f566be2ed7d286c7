"""One write to one keeper by an attacker: what other processes make of the state that it plants."""

import json
from contextlib import ExitStack

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.flows.resize import new_fence
from django_dcache.model.documents import Documents
from django_dcache.model.generations import Generations
from django_dcache.model.state import FleetState, state_key
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.testing import LocalFleet

OPTIONS = {
    "freshness": 10.0,
    "timeout": 5.0,
    "connect_timeout": 5.0,
    "request_budget": 60.0,
    "eject_after": 0.0,
    "secret": "ours",
}
OURS = Documents("default", lambda: [b"ours"], "on")
THEIRS = Documents("default", lambda: [b"theirs"], "on")
VALUES = {f"key{number}": number for number in range(100)}


def raised(epoch: int, nodes: int, **changes) -> FleetState:
    """A state of this epoch with as many nodes that are none of ours."""
    layout = Layout(tuple(Node.at(f"10.6.6.{number}:666", **changes) for number in range(nodes)))
    return FleetState(Topology(epoch, layout))


def last(addresses) -> FleetState:
    return FleetState(Topology(2**53 - 1, Layout(tuple(map(Node.at, addresses)))))


def heavy() -> bytes:
    """A hundred nodes of weight 100, which no layout of ours may have."""
    document = json.loads(raised(10**6, 100).encode())
    for node in document["topology"]["layout"]["nodes"]:
        node["weight"] = 100
    return json.dumps(document).encode()


def strangers(epoch: int, addresses) -> FleetState:
    layout = Layout(tuple(map(Node.at, addresses)))
    return FleetState(Topology(epoch, layout), {f"n{number}": Generations(1) for number in range(25_000)})


PLANTED = {
    "another address": lambda addresses: raised(10**6, 1).encode(),
    "the last epoch": lambda addresses: last(addresses).encode(),
    "25,000 strangers": lambda addresses: strangers(2, addresses).encode(),
    "100 heavy nodes": lambda addresses: heavy(),
    "the highest generation": lambda addresses: FleetState(
        Topology(2, Layout(tuple(map(Node.at, addresses)))),
        {node.name: Generations(10**7 - 1) for node in map(Node.at, addresses)},
    ).encode(),
    "a newer format": lambda addresses: b'{"format":9}',
    "an older format": lambda addresses: b'{"format":2}',
    "signed by another": lambda addresses: THEIRS.write(raised(9, 2)),
    "the last epoch, with our secret": lambda addresses: OURS.write(last(addresses)),
    "25,000 strangers, with our secret": lambda addresses: OURS.write(strangers(2, addresses)),
}


@pytest.fixture
def nodes():
    with LocalFleet(3) as nodes:
        yield nodes


def cache_of(stack: ExitStack, nodes: LocalFleet, **options) -> DistributedCache:
    cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | options})
    stack.callback(cache.fleet.close)
    return cache


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_planted_state(nodes, plant, caplog):
    """It is counted and logged with its keeper, nothing is lost, and nothing but our nodes is spoken to."""
    with ExitStack() as stack:
        cache = cache_of(stack, nodes)
        assert cache.set_many(VALUES) == []
        key, document = state_key("default"), plant(nodes.addresses)
        assert nodes.nodes[1].ask(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(document), document)) == b"STORED\r\n"
        fresh = cache_of(stack, nodes, idle_connections=63)
        for one in (cache, fresh):
            one.fleet.doubt()
            assert one.get_many(VALUES) == VALUES
            view = one.fleet.view
            assert one.fleet.proven and view.epoch == 1
            assert {node.address for node in view.state.topology.nodes.values()} == set(nodes.addresses)
            assert one.fleet.counters["refused_states"] > 0
            assert one.fleet.run(new_fence) > 0
        assert {record.node for record in caplog.records if record.action == "state_refused"} == {nodes.addresses[1]}
