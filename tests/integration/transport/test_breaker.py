"""A node that is away costs a process little: one connection attempt that waits, or three calls."""

from collections import Counter

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.commands import Get
from django_dcache.errors import NodeDown, NodeFailure, NodeUnreachable
from django_dcache.testing import LocalFleet, ManualClock, ScriptedNode
from django_dcache.transport.breaker import LAST_PROBE, Breaker, State

CALLS = 1000
OPTIONS = {"timeout": 0.25, "connect_timeout": 0.25}


@pytest.fixture
def clock():
    """The breakers' clock stands still: no node is probed again until the test says so."""
    return ManualClock()


@pytest.fixture
def make_cache(clock):
    """Makes caches whose breakers live by that clock."""
    caches = []

    def make(addresses):
        cache = DistributedCache(addresses, {"OPTIONS": OPTIONS})
        for pool in cache.fleet.transport.pools().values():
            pool.breaker = Breaker(clock)
        caches.append(cache)
        return cache

    yield make
    for cache in caches:
        cache.fleet.close()


@pytest.fixture
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet.nodes


def keys_on(cache, address, count=1):
    """Keys that live on this node, each in a slot of its own."""
    keys = {}
    for number in range(10_000):
        route, slot = cache.fleet.view.place(b":1:k%d" % number)
        if cache.fleet.view.state.topology.nodes[route.read[0]].address == address:
            keys.setdefault(slot, f"k{number}")
        if len(keys) == count:
            break
    return list(keys.values())


def key_on(cache, address):
    """One of them."""
    return keys_on(cache, address)[0]


def pool_of(cache, address):
    return next(pool for pool in cache.fleet.transport.pools().values() if pool.node.address == address)


def failures(cache, address):
    """What 1,000 questions to a node came to, in order."""
    name = pool_of(cache, address).node.name

    def ask(view):
        (reply,) = (yield {name: [Get(b":1:k")]})[name]
        return type(reply) if isinstance(reply, NodeFailure) else None

    return [cache.fleet.run(ask) for _ in range(CALLS)]


def calls_that_may_wait(cache, address, call):
    """How many of 1,000 calls were made while the node was not known to be down: no later one asks it anything.

    Over many slots, because one that was bumped asks nothing either. A call that came late to the end of its wait, on a
    busy machine, says nothing against the node, and counts for none here either.
    """
    pool, late = pool_of(cache, address), 0
    keys = keys_on(cache, address, 100)
    waiting = 0
    for number in range(CALLS):
        asks, failures = pool.breaker.state is not State.DOWN, pool.failures.total()
        call(keys[number % len(keys)])
        counted = pool.failures.total() > failures
        waiting += asks and counted
        late += asks and not counted
    assert late < 10
    return waiting


def test_killed(nodes, make_cache):
    """To a node that was killed no connection is made after the first that was refused."""
    cache = make_cache([node.address for node in nodes])
    gone = nodes[0].address
    key = key_on(cache, gone)
    assert cache.set(key, "value")
    nodes[0].kill()
    opened = pool_of(cache, gone).opened
    assert failures(cache, gone) == [NodeUnreachable] + [NodeDown] * (CALLS - 1)
    assert cache.get(key, "a miss") == "a miss"
    assert pool_of(cache, gone).opened == opened


def test_gets_on_a_killed_node(nodes, make_cache):
    """One get at most waits for a node that was killed."""
    cache = make_cache([node.address for node in nodes])
    gone = nodes[0].address
    key = key_on(cache, gone)
    assert cache.set(key, "value")
    nodes[0].kill()
    assert calls_that_may_wait(cache, gone, cache.get) == 1


def test_no_answer_to_connects(nodes, make_cache):
    """To a node that answers no connection attempt, one is made that waits, and no more."""
    with ScriptedNode(b"") as hole:
        hole.ignore_connects()
        cache = make_cache([hole.address, *(node.address for node in nodes[:2])])
        assert calls_that_may_wait(cache, hole.address, cache.get) == 1
        assert set(failures(cache, hole.address)) == {NodeDown}
        assert pool_of(cache, hole.address).opened == 0


@pytest.mark.parametrize("operation", ["get", "set", "delete", "get_many", "set_many", "add", "incr"])
def test_frozen(nodes, make_cache, operation):
    """Three calls at most wait for a node that hangs, whatever they are."""
    cache = make_cache([node.address for node in nodes])
    hung = nodes[0]
    assert cache.set(key_on(cache, hung.address), "value")
    hung.freeze()

    def incr(key):
        with pytest.raises(ValueError):
            cache.incr(key)

    calls = {
        "get": cache.get,
        "set": lambda key: cache.set(key, 6),
        "delete": cache.delete,
        "get_many": lambda key: cache.get_many([key]),
        "set_many": lambda key: cache.set_many({key: 6}),
        "add": lambda key: cache.add(key, 6),
        "incr": incr,
    }
    assert calls_that_may_wait(cache, hung.address, calls[operation]) <= 3
    assert set(failures(cache, hung.address)) == {NodeDown}


def test_questions_to_a_frozen_node(nodes, make_cache):
    """Of 1,000 questions to a node that hangs three are sent, and one for each probe that comes due meanwhile."""
    cache = make_cache([node.address for node in nodes])
    assert cache.set(key_on(cache, nodes[0].address), "value")
    nodes[0].freeze()
    outcomes = Counter(failures(cache, nodes[0].address))
    assert outcomes[NodeDown] >= CALLS - 6


@pytest.mark.parametrize("away", ["killed", "frozen"])
def test_back_again(nodes, make_cache, clock, away):
    """A node that is back is found by its next probe, and used again."""
    cache = make_cache([node.address for node in nodes])
    address = nodes[0].address
    key = key_on(cache, address)
    assert cache.set(key, "before")
    nodes[0].kill() if away == "killed" else nodes[0].freeze()
    for _ in range(5):
        cache.get(key)
    assert pool_of(cache, address).breaker.state is State.DOWN
    nodes[0].start() if away == "killed" else nodes[0].thaw()
    for _ in range(3):
        clock.advance(2 * LAST_PROBE)
        cache.get(key)
    assert pool_of(cache, address).breaker.state is State.UP
    assert cache.set(key, "after") and cache.get(key) == "after"


def test_other_nodes_are_as_ever(nodes, make_cache):
    """Keys of other nodes are read and written while one is away."""
    cache = make_cache([node.address for node in nodes])
    other = key_on(cache, nodes[1].address)
    nodes[0].freeze()
    for number in range(100):
        assert cache.set(other, number) and cache.get(other) == number
