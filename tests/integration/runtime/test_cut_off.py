"""One client whose own network fails while all nodes are well: it costs the others next to nothing."""

import threading
from contextlib import ExitStack

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.model.state import Note
from django_dcache.testing import FaultProxy
from support.scale import FULL
from support.waiting import until
from support.working_caches import working

OPTIONS = {"fleet": "cut", "timeout": 0.5, "connect_timeout": 5.0, "freshness": 1.0}
ACCUSATIONS = 4 if FULL else 2
"""A process makes them after 0, 2, 6 and 14 seconds."""
PATIENT = {"timeout": 10.0, "connect_timeout": 10.0, "idle_connections": 21, "eject_after": 0.0}
OTHERS = {f"other-{number}": number for number in range(2000)}


@pytest.fixture
def site(fleet):
    """Sets up two processes on three nodes, one of them behind a network of its own: `site(replicas)`."""
    with ExitStack() as stack:

        def make(replicas):
            nodes = fleet(3)
            proxies = {address: stack.enter_context(FaultProxy(address)) for address in nodes.addresses}
            away = {"address_remap": lambda address: proxies[address].address}
            one = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | {"replicas": replicas} | away})
            other = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | {"replicas": replicas} | PATIENT})
            stack.callback(one.fleet.close)
            stack.callback(other.fleet.close)
            assert other.set_many(OTHERS, None) == [] and until(lambda: one.get("other-0") == 0)
            return one, other, list(proxies.values())

        yield make


@pytest.mark.parametrize("cut", ["hole", "refused", "one way"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_client_without_a_network(site, cut, replicas):
    """A client that writes on while no node answers it, and then all do again: at least 99 % of what others stored is
    left, and no node is taken out."""
    one, other, proxies = site(replicas)
    stop, tried = threading.Event(), []

    def write():
        while not stop.is_set():
            tried.append(one.set(f"own-{len(tried) % 500}", len(tried), None))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert until(lambda: True in tried)
        for proxy in proxies:
            if cut == "refused":
                proxy.refuse()
                proxy.drop_connections()
            else:
                proxy.blackhole("both" if cut == "hole" else "replies")
        assert until(lambda: len(tried) > 300 and not any(tried[-200:]))
        for proxy in proxies:
            proxy.heal()
        healed = len(tried)
        assert until(lambda: any(tried[healed:]))
    finally:
        stop.set()
        writer.join()
    assert until(lambda: not one.fleet.view.debts or one.get("own-0") is None and not one.fleet.view.debts)
    found = other.get_many(OTHERS)
    assert sum(found.get(key) == value for key, value in OTHERS.items()) >= 0.99 * len(OTHERS)
    assert not other.fleet.view.state.topology.layout.out


def test_one_of_eight(fleet):
    """One process of eight is cut off from one node for good: it accuses the node again and again, the others say that
    it answers, and nothing is taken out."""
    nodes = fleet(3)
    with FaultProxy(nodes.addresses[0]) as proxy:
        away = {"address_remap": lambda address: proxy.address if address == nodes.addresses[0] else address}
        caches = [process(nodes, number, **({} if number else away)) for number in range(8)]
        assert all(cache.set(f"{number}", 0) for number, cache in enumerate(caches))
        proxy.refuse()
        proxy.drop_connections()
        lost, seen = nodes.addresses[0], caches[0].fleet

        def refuted():
            assert not seen.view.state.topology.layouts[-1].out
            return seen.view.state.note(lost, Note.REFUTED) >= ACCUSATIONS

        with working(caches, lambda cache, number: cache.set(f"{number}", 1), every=0.01):
            assert until(refuted, 120 if FULL else 60)


def process(nodes, number, **options):
    """The cache as one process of several has it."""
    options |= {"fleet": "eight", "timeout": 5.0, "connect_timeout": 5.0, "idle_connections": 30 + number}
    return DistributedCache(nodes.addresses, {"OPTIONS": options})
