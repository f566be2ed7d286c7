"""A node that is a cluster of servers, and one that keeps its data on disk."""

import asyncio
from contextlib import ExitStack

from django_dcache.model.state import Note
from django_dcache.testing import LocalIgnite
from support.ignite import needs_ignite
from support.waiting import until

VALUES = {f"k{number}": number for number in range(50)}
# A slot that was bumped is empty and then closed, each for `freshness` and twice `timeout`.
OPTIONS = {"timeout": 1.0, "freshness": 0.3, "connect_timeout": 5.0, "eject_after": 0}


def stored(cache):
    """Whether every value is, and is read."""
    return cache.set_many(VALUES, None) == [] and cache.get_many(VALUES) == VALUES


def returns(cache):
    """How often the node has come back with the past, as the fleet knows it."""
    state = cache.fleet.proven_view().state
    (name,) = state.topology.nodes
    return state.note(name, Note.RETURNED) // 2**32


def test_a_server_dies_and_comes_back(cache_of):
    """Of two servers one is killed: the other one has every value, for threads and for event loops. Where a server
    joins again, what it may have brought along is out of reach."""
    needs_ignite()
    with ExitStack() as running:
        servers = [running.enter_context(server) for server in LocalIgnite.cluster(2)]
        address = f"ignite://{servers[0].endpoint},{servers[1].endpoint}/dcache"
        cache = cache_of(address, **OPTIONS)
        assert until(lambda: stored(cache))
        assert returns(cache) == 0
        servers[0].kill()
        seen = {}
        assert until(lambda: seen.update(cache.get_many(VALUES)) or cache.get("k1") == 1)
        assert seen.items() <= VALUES.items()
        assert until(lambda: asyncio.run(cache.aget_many(VALUES)) == cache.get_many(VALUES) != {})
        assert until(lambda: stored(cache))
        assert until(lambda: asyncio.run(cache.aset("k1", 1)) and asyncio.run(cache.aget("k1")) == 1)
        assert returns(cache) == 0, "what was lost is no past"
        servers[0].start()
        assert until(lambda: stored(cache) and returns(cache) == 1)
        assert until(lambda: asyncio.run(cache.aget_many(VALUES)) == VALUES)


def test_the_past_from_a_disk(cache_of):
    """Of a server that was killed and started again with its data no value is read; what is stored from then on is."""
    needs_ignite()
    with LocalIgnite(disk=True) as server:
        cache = cache_of(server.address, **OPTIONS)
        assert until(lambda: stored(cache))
        server.kill()
        server.start()
        assert len(server.items()) > len(VALUES), "it holds the past"
        seen = {}
        assert until(lambda: seen.update(cache.get_many(VALUES)) or cache.set("probe", 1, None))
        assert seen == {} and cache.get_many(VALUES) == {} and returns(cache) == 1
        assert until(lambda: stored(cache))
