"""Processes that start late: after every node has failed once, or in the morning, when the map has been evicted."""

import threading

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.model.state import state_key
from support.waiting import until

OPTIONS = {"freshness": 0.2, "timeout": 0.5, "connect_timeout": 0.5, "eject_after": 0.0, "fleet": "newcomers"}
KEYS = [f"k{number}" for number in range(100)]
COUNTERS = [f"n{number}" for number in range(50)]
PATIENT = {"timeout": 10.0, "connect_timeout": 10.0}


@pytest.fixture
def process(fleet):
    """Starts processes on one fleet of three nodes: `process(**options)`."""
    nodes, started = fleet(3), []

    def start(**options):
        options = OPTIONS | {"idle_connections": 20 + len(started)} | options
        started.append(DistributedCache(nodes.addresses, {"OPTIONS": options}))
        return started[-1]

    start.nodes = nodes.nodes
    yield start
    for cache in started:
        cache.fleet.close()


def bumped_and_settled(cache):
    cache.get("k0")
    state = cache.fleet.view.state
    bumped = all(state.highest(node) for node in state.topology.nodes)
    return bumped and not [*state.unsettled()] and not cache.fleet.view.debts


@pytest.mark.parametrize("trouble", ["restart", "hang"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_after_every_node_has_failed(process, trouble, replicas):
    """A process that starts once all bumps have settled stores, adds and counts from its first call, and takes no
    counter away."""
    before, stop = process(replicas=replicas), threading.Event()

    def write():
        while not stop.is_set():
            before.set_many(dict.fromkeys(KEYS, 1), None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for node in process.nodes:
            node.freeze() if trouble == "hang" else node.kill()
            assert until(lambda node=node: before.fleet.view.state.highest(node.address))
            node.thaw() if trouble == "hang" else node.start()
            pool = before.fleet.transport.pool(node.address)
            assert until(lambda pool=pool: pool.breaker.state == "up")
    finally:
        stop.set()
        writer.join()
    assert until(lambda: not before.set_many(dict.fromkeys(COUNTERS, 5), None) and bumped_and_settled(before))
    late = process(replicas=replicas, **PATIENT)
    assert all(late.incr(key) == 6 for key in COUNTERS)
    assert late.set_many(dict.fromkeys(KEYS, 2), None) == []
    assert all(late.add(f"new-{key}", 1) and late.incr(f"new-{key}") == 2 for key in KEYS)
    assert late.get_many(COUNTERS) == dict.fromkeys(COUNTERS, 6)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_map_that_was_lost_while_the_site_slept(process, replicas):
    """Where each node lost the map, and nothing else, what was replaced before it stays out of reach."""
    evening = process(replicas=replicas)
    assert evening.set_many(dict.fromkeys(KEYS, "old"), None) == []
    hung = process.nodes[0]
    hung.freeze()
    while not evening.fleet.view.state.highest(hung.address):
        evening.set_many(dict.fromkeys(KEYS, "newer"), None)
    hung.thaw()
    assert until(lambda: not evening.set_many(dict.fromkeys(KEYS, "newest"), None))
    for node in process.nodes:
        assert node.ask(b"md %b\r\n" % state_key("newcomers")).startswith(b"HD")
    morning = process(replicas=replicas, **PATIENT)
    assert set(morning.get_many(KEYS).values()) <= {"newest"}
    assert min(morning.fleet.view.state.highest(node.address) for node in process.nodes) > 0
