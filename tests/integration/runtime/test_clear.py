"""clear(), and what others keep on the same nodes."""

import asyncio
import logging

import pytest
from django.core.cache.backends.memcached import PyMemcacheCache

from django_dcache.backend import DistributedCache
from django_dcache.neighbours import shared_nodes
from django_dcache.runtime.fleet import Fleet

KEYS = [f"key-{number}" for number in range(300)]
QUICK = {"freshness": 1.0, "timeout": 1.0}
PATIENT = {"timeout": 10.0}
"""A node that takes longer to list its keys counts as one that may hold anything."""


@pytest.fixture
def nodes(fleet):
    return fleet(3).addresses


def cache_on(nodes, prefix="shop", options=None):
    """A cache in what might be a process of its own."""
    cache = DistributedCache(nodes, {"KEY_PREFIX": prefix, "OPTIONS": {**QUICK, **(options or {})}})
    cache.fleet = Fleet(cache.fleet.configuration)
    return cache


def neighbours(nodes):
    """What else may be kept on the first node: by Django's own backend, and by another fleet."""
    stock = PyMemcacheCache(nodes[:1], {"KEY_PREFIX": "blog"})
    return stock, cache_on(nodes[:1], "wiki", {"fleet": "wiki"})


def close(*caches):
    for cache in caches:
        cache.fleet.close() if isinstance(cache, DistributedCache) else cache.close()


def clear(cache, road):
    return cache.clear() if road == "sync" else asyncio.run(cache.aclear())


@pytest.mark.parametrize("road", ["sync", "async"])
def test_neighbours(nodes, road, caplog):
    """What others keep on the nodes is there after clear(); ours is gone for every process, which store as ever."""
    cache, other = cache_on(nodes), cache_on(nodes)
    known = neighbours(nodes)
    for one in (cache, *known):
        assert one.set_many(dict.fromkeys(KEYS, "old"), None) == []
    assert len(other.get_many(KEYS)) == len(KEYS)
    with caplog.at_level(logging.INFO, "django_dcache"):
        assert clear(cache, road) is True
    assert {record.node for record in caplog.records if record.action == "node_is_shared"} == {nodes[0]}
    assert [len(one.get_many(KEYS)) for one in (cache, other, *known)] == [0, 0, len(KEYS), len(KEYS)]
    assert cache.set_many(dict.fromkeys(KEYS, "new"), None) == []
    assert other.get_many(KEYS) == dict.fromkeys(KEYS, "new")
    close(cache, other, *known)


def test_an_alias_of_before(nodes):
    """What this process has stored by an alias that it has no more is its own: it is emptied at once."""
    before, cache = cache_on(nodes, "before", PATIENT), cache_on(nodes, options=PATIENT)
    before.set_many(dict.fromkeys(KEYS, "old"), None)
    assert cache.clear() is True and not any(cache.fleet.view.state.highest(name) for name in nodes)
    close(before, cache)


@pytest.mark.parametrize("options", [{}, {"clear_nodes": True}])
def test_nodes_that_are_emptied(nodes, options):
    """Nodes that hold nothing but ours are emptied, and so are those of a site that wants it; the map stays."""
    cache = cache_on(nodes, options=PATIENT | options)
    known = neighbours(nodes) if options else ()
    cache.set_many(dict.fromkeys(KEYS, "old"), None)
    for one in known:
        one.set("key", 1, None)
    assert cache.clear() is True and not cache.get_many(KEYS)
    assert cache.fleet.view.epoch == 1 and not any(cache.fleet.view.state.highest(name) for name in nodes)
    assert [one.get("key") for one in known] == [None] * len(known)
    close(cache, *known)


def test_a_key_function_that_hides_what_it_is_given(nodes):
    """Where our own keys can't be told from others', no node is emptied."""
    cache = cache_on(nodes)
    cache.key_func = lambda key, prefix, version: f"{hash((key, prefix, version))}"
    cache.set_many(dict.fromkeys(KEYS, "old"), None)
    assert cache.clear() is True and not cache.get_many(KEYS)
    assert all(cache.fleet.view.state.highest(name) for name in nodes)
    close(cache)


def test_a_node_that_hangs(fleet):
    """A node that does not answer is told apart, and leaves the time to look through the others."""
    local = fleet(3)
    cache = DistributedCache(local.addresses, {"OPTIONS": {"timeout": 2.0, "connect_timeout": 2.0, "freshness": 60.0}})
    assert cache.set_many(dict.fromkeys(KEYS, "old"), None) == []
    local.nodes[0].freeze()
    assert shared_nodes(cache.fleet) == (set(), {local.nodes[0].name})
    close(cache)
