"""A cache with a near cache in front: own writes are seen at once, others' within `freshness`."""

import asyncio
import ctypes
import os
import signal
from contextlib import ExitStack

import pytest
from django.core.cache import caches
from django.test import override_settings

from django_dcache import invalidate
from django_dcache.backend import DistributedCache
from django_dcache.testing import FaultProxy, LocalFleet
from support.own_writes import WRITES
from support.waiting import until

OPTIONS = {"fleet": "near", "freshness": 1.0}


@pytest.fixture(scope="module")
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet


@pytest.fixture(params=[1, 2])
def near(nodes, request):
    """A process that keeps what it reads, with one copy of each key or two."""
    options = {**OPTIONS, "replicas": request.param, "fleet": f"near{request.param}", "near": {"bytes": 10_000_000}}
    return DistributedCache(list(nodes.addresses), {"OPTIONS": options})


@pytest.fixture
def other(nodes, near):
    """Another process."""
    options = {"replicas": near.fleet.options.replicas, "fleet": near.fleet.options.fleet}
    return DistributedCache(list(nodes.addresses), {"OPTIONS": options})


def warm(cache, key):
    """Read until it is served without asking a node; what was read."""
    hits, value = cache.fleet.near.hits, None
    while cache.fleet.near.hits == hits:
        value = cache.get(key)
    return value


@pytest.mark.parametrize("road", ["sync", "async"])
@pytest.mark.parametrize("name", WRITES)
def test_own_writes_are_seen_at_once(near, name, road):
    """After a write of its own no process is served what was there before."""
    arguments, expected = WRITES[name]
    near.set("k", 1)
    assert warm(near, "k") == 1
    if road == "sync":
        getattr(near, name)(*arguments)
    else:
        asyncio.run(_awaited(getattr(near, f"a{name}"), *arguments))
    assert near.get("k") == expected


async def _awaited(call, *arguments):
    await call(*arguments)


def test_another_process_sees_a_write_within_freshness(near, other):
    """What is served may be older than a write of another process, and is not for long."""
    near.set("k", "old")
    assert warm(near, "k") == "old"
    other.set("k", "new")
    assert until(lambda: near.get("k") == "new", seconds=5)
    assert near.get("k", fresh=True) == "new"


def test_fresh_asks_the_nodes(near, other):
    """Who wants to know what is there now can ask for it."""
    near.set("k", "old")
    assert warm(near, "k") == "old"
    other.set("k", "new")
    assert near.get("k", fresh=True) == near.get_many(["k"], fresh=True)["k"] == "new"


def test_a_caller_that_changes_a_value_changes_it_for_itself(near):
    """A dict that a view changes is as it was stored for the next one."""
    near.set("k", {"a": [1]})
    warm(near, "k")["a"].append(2)
    assert near.get("k") == {"a": [1]}


def test_many_keys_come_from_near_and_from_nodes(near):
    """What is near is not asked for; the rest is, and both are in the answer."""
    near.set_many({"k": 1, "l": 2})
    warm(near, "k")
    hits = near.fleet.near.hits
    assert near.get_many(["k", "l", "absent"]) == {"k": 1, "l": 2}
    assert near.fleet.near.hits == hits + 1


def test_a_load_is_saved_by_what_is_near(near):
    """`get_or_set` and `has_key` look near, too."""
    near.set("k", 1)
    warm(near, "k")
    hits = near.fleet.near.hits
    assert near.get_or_set("k", lambda: 2) == 1 and near.has_key("k")
    assert near.fleet.near.hits == hits + 2


@pytest.mark.parametrize("road", ["sync", "async"])
def test_a_load_asks_once(near, nodes, road):
    """A `get_or_set` with a near cache sends what one without sends, and what it finds comes near."""
    options = {"replicas": near.fleet.options.replicas, "fleet": near.fleet.options.fleet, "timeout": 0.24}
    plain = DistributedCache(list(nodes.addresses), {"OPTIONS": options})

    def load(cache, key):
        if road == "sync":
            return cache.get_or_set(key, lambda: 7)
        return asyncio.run(cache.aget_or_set(key, lambda: 7))

    def questions(cache):
        keys = [f"asked{number}" for number in range(5)]
        cache.delete_many(keys)
        before = gets(nodes)
        assert [load(cache, key) for key in keys] == [7] * len(keys)
        return gets(nodes) - before

    load(near, "proven"), load(plain, "proven")
    assert questions(near) == questions(plain)
    hits = near.fleet.near.hits
    assert [load(near, "asked0") for _ in range(3)] == [7] * 3 and near.fleet.near.hits > hits


def gets(nodes):
    """How many reads of the test's keys its nodes have answered."""
    return sum(int(node.stats()["cmd_get"]) for node in nodes.nodes)


def test_an_invalidation_is_seen_at_once(nodes):
    """What a process invalidates it does not serve any more."""
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": list(nodes.addresses)}
    options = {"fleet": "near_invalidated", "near": {"bytes": 10_000_000}}
    with override_settings(CACHES={"default": {**entry, "OPTIONS": options}}):
        cache = caches["default"]
        cache.set("k", 1)
        assert warm(cache, "k") == 1
        invalidate(["k"])
        assert cache.get("k") is None


def test_far_nodes_are_asked_for_what_is_used_together_with_others(nodes):
    """Behind slow links what is read again and again comes anew in the rounds of other keys, which are right, too."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(FaultProxy(address)) for address in nodes.addresses]
        for proxy in proxies:
            proxy.delay(0.002)
        places = dict(zip(nodes.addresses, (proxy.address for proxy in proxies), strict=True))
        options = {"fleet": "far", "near": {"bytes": 10_000_000}, "address_remap": places.__getitem__}
        options |= {"timeout": 5, "freshness": 0.2}
        cache = DistributedCache(list(nodes.addresses), {"OPTIONS": options})
        other = DistributedCache(list(nodes.addresses), {"OPTIONS": {"fleet": "far"}})
        other.set_many({f"k{number}": number for number in range(3000)} | {"hot": "old"})
        for number in range(30):
            cache.get(f"k{number}")
        near, hot = cache.fleet.near, cache.make_key("hot")
        told, due = [], near.due
        near.due = lambda now: told.extend(found := due(now)) or found
        for number in range(30, 3000):
            if told.count(hot) == 1:
                other.set("hot", "new")
            assert (cache.get(f"k{number}"), cache.get(f"absent{number}")) == (number, None)
            assert cache.get("hot") == ("old" if told.count(hot) < 2 else "new") or told.count(hot) == 1
            if told.count(hot) == 3:
                break
        assert told.count(hot) == 3


def test_event_loops_share_it(near):
    """What a thread has read is served to a coroutine, and the other way round."""
    near.set("k", 1)
    warm(near, "k")
    hits = near.fleet.near.hits

    async def read():
        return await near.aget("k"), await near.aget_many(["k"])

    assert asyncio.run(read()) == (1, {"k": 1})
    assert near.fleet.near.hits == hits + 2


def in_child(fork, work):
    """What a forked child wrote of what it did; nothing if that took five seconds, or raised."""
    reader, writer = os.pipe()
    child = fork()
    if not child:
        try:
            signal.alarm(5)
            os.write(writer, work())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as said:
        return said.read()


def test_a_child_begins_anew(near):
    """A process that was forked keeps nothing of its parent's, and works."""
    near.set("k", 1)
    warm(near, "k")
    assert in_child(os.fork, lambda: b"%d %d" % (len(near.fleet.near.young), near.get("k"))) == b"0 1"


def test_a_child_of_a_fork_in_c_waits_for_no_lock(near):
    """A thread of the parent may have held the lock when the child was made, and is not there to give it back."""
    near.set("k", 1)
    warm(near, "k")
    with near.fleet.near._lock:
        said = in_child(ctypes.PyDLL(None).fork, lambda: b"%d %d" % (near.set("k", 2), near.get("k")))
    assert said == b"1 2"


def test_a_loader_that_forks(near):
    """A child that was made while a key was being loaded ends the load as its parent does."""
    near.delete("loaded")
    reader, writer = os.pipe()
    child = value = None

    def load():
        nonlocal child
        child = os.fork()
        return 7

    try:
        value = near.get_or_set("loaded", load)
    finally:
        if child == 0:
            os.write(writer, repr(value).encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        assert (value, said.read()) == (7, "7")
