"""Several servers behind one address: no process reads one's values and the other's by turns."""

import asyncio
import logging
import threading
from contextlib import ExitStack

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.errors import SeveralServers
from django_dcache.metrics import process
from django_dcache.model.topology import Node
from django_dcache.testing import LocalFleet, LocalNode, LocalRedis
from django_dcache.transport.servers import ALIKE
from support.balancer import Balancer
from support.waiting import until

OPTIONS = {"timeout": 5.0, "eject_after": 0}
SEVERAL = "several servers answer at its address"


def place(pod):
    """host:port of a node."""
    ((host, port),) = Node.at(pod.address).endpoints
    return f"{host}:{port}"


@pytest.fixture(params=[LocalNode, LocalRedis])
def pods(request):
    """Two servers, of which one may be used at a time."""
    with request.param() as one, request.param() as other:
        yield one, other


@pytest.fixture
def balancer(pods):
    with Balancer(*map(place, pods)) as balancer:
        yield balancer


@pytest.fixture
def cache_of(pods, balancer):
    """Makes caches whose only node is behind the balancer."""
    address = pods[0].address.replace(place(pods[0]), balancer.address)
    with ExitStack() as closing:

        def make(**options):
            cache = DistributedCache([address], {"OPTIONS": OPTIONS | options})
            closing.callback(cache.fleet.close)
            return cache

        yield make


def pool(cache):
    (found,) = cache.fleet.transport.pools().values()
    return found


def noticed(cache):
    """Whether its process has found that there are several servers."""
    return pool(cache).failures[SEVERAL] > 0


def test_it_is_noticed(cache_of, caplog):
    """A process with one connection replaces it now and then. When it finds the first server again, it uses neither:
    reads are misses, writes fail; one line of the log says what to do, and the metrics name it."""
    caplog.set_level(logging.WARNING, "django_dcache")
    cache = cache_of()
    assert until(lambda: (cache.set("key", "value", None), noticed(cache))[1])
    for _ in range(100):
        assert not cache.set("key", "later", None) and cache.get("key") is None
    (line,) = [record for record in caplog.records if record.action == "node_down"]
    assert line.cause == SEVERAL and "StatefulSet" in line.getMessage()
    assert (
        sum(count for (_, _, cause), count in process.failures().items() if cause == SEVERAL)
        >= pool(cache).failures[SEVERAL]
    )


def test_several_connections(cache_of):
    """The third connection of a process tells, and those it has are not used any more."""
    cache = cache_of()
    assert until(lambda: cache.set("key", "value", None))
    held = [pool(cache).open(5.0)]
    with pytest.raises(SeveralServers):
        pool(cache).open(5.0)
    pool(cache).give_back(held.pop())
    assert not cache.set("key", "other", None) and cache.get("key") is None
    assert all(connection.outdated for connection in pool(cache).idle)


def test_threads(cache_of):
    """Threads that connect at the same time find it at once."""
    cache = cache_of()
    start = threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(20):
            cache.set("key", "value", None)
            cache.get("key")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert until(lambda: cache.get("key") is None and noticed(cache))


def test_on_an_event_loop(cache_of):
    """A busy loop replaces its connection too."""

    async def work():
        cache = cache_of()
        while not noticed(cache):  # The caller's patience ends it.
            await asyncio.gather(*(cache.aset(f"k{number}", 1, None) for number in range(10)))
        assert not await cache.aset("key", 1, None) and await cache.aget("key") is None

    asyncio.run(asyncio.wait_for(work(), 60))


def test_one_server_again(cache_of, balancer, pods):
    """Once many connections have led to one server it is used again, and nothing that it held is read."""
    cache = cache_of(freshness=0.2, timeout=1.0)
    assert until(lambda: (cache.set("key", "old", None), noticed(cache))[1])
    balancer.targets = balancer.targets[:1]
    assert any("key" in str(name) for name in pods[0].items())
    for _ in range(ALIKE - 1):
        with pytest.raises(SeveralServers):
            pool(cache).open(5.0)
        assert cache.get("key") is None
    pool(cache).open(5.0).close()
    seen = set()
    assert until(lambda: seen.add(cache.get("key")) or cache.set("new", 1, None))
    assert seen == {None} and cache.get("key") is None and cache.get("new") == 1


def test_a_restart_is_no_such(cache_of, balancer, pods):
    """A server that restarts, again and again, is used as soon as it is back."""
    balancer.targets = balancer.targets[:1]
    cache = cache_of(timeout=1.0)
    for number in range(3):
        assert until(lambda number=number: cache.set("key", number, None) and cache.get("key") == number)
        pods[0].restart()
    assert not noticed(cache)


def test_a_lost_mark_is_no_such(cache_of, balancer, pods):
    """A server that is emptied is the same one, with another mark."""
    balancer.targets = balancer.targets[:1]
    cache, other = cache_of(), cache_of(idle_connections=3)
    for number in range(4):
        for one in (cache, other):
            assert until(lambda one=one, number=number: one.set("key", number, None))
        pods[0].ask(b"flush_all\r\n" if type(pods[0]) is LocalNode else b"FLUSHALL\r\n")
        pool(cache).clear()
    assert cache.clear() and until(lambda: cache.set("key", 1, None)) and cache.get("key") == 1
    assert not noticed(cache) and not noticed(other)


def test_a_node_of_several():
    """Where one of three nodes is several servers, the processes take it out, and the others serve its share."""
    with (
        LocalFleet(2) as nodes,
        LocalNode() as one,
        LocalNode() as other,
        Balancer(one.address, other.address, other.address) as balancer,
    ):
        location = [*nodes.addresses, balancer.address]
        caches = [
            DistributedCache(location, {"OPTIONS": {"timeout": 1.0, "freshness": 0.5, "idle_connections": number}})
            for number in (1, 2)
        ]
        keys = [f"k{number}" for number in range(60)]

        def whole(number=0):
            for cache in caches:
                cache.set_many(dict.fromkeys(keys, number), None)
            return all(len(cache.get_many(keys)) == len(keys) for cache in caches)

        assert until(lambda: whole() and balancer.address in caches[0].fleet.view.state.topology.layout.out)
        assert whole(2) and caches[0].get_many(keys) == dict.fromkeys(keys, 2)
        for cache in caches:
            cache.fleet.close()
