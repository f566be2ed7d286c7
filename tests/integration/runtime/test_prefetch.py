"""A request that asks for its keys at once: it takes one round, and reads what it would have read without."""

import asyncio
import contextvars

import pytest
from asgiref.sync import sync_to_async
from django.core.signals import request_finished, request_started

from django_dcache.backend import DistributedCache
from django_dcache.errors import NoReplica
from django_dcache.methods import NearMethods
from django_dcache.runtime import prefetched
from django_dcache.testing import FaultProxy, LocalFleet
from support.own_writes import WRITES
from support.waiting import until

KEYS = [f"k{number}" for number in range(20)]


@pytest.fixture(scope="module")
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _other_request():
    """What a test has asked for is not known to the next, nor that it asked."""
    prefetched.begun = False
    yield
    prefetched.begun = False
    prefetched.forget()


@pytest.fixture(params=[{}, {"replicas": 2}, {"near": {"bytes": 1_000_000}}], ids=["", "two copies", "near"])
def counted(nodes, request):
    """A cache behind proxies, and the commands that they have carried."""
    asked = []
    name = "prefetch" + "".join(request.param)
    proxies = [FaultProxy(node).__enter__() for node in nodes.addresses]
    try:
        for proxy in proxies:
            proxy.on_command = asked.append
        places = dict(zip(nodes.addresses, (proxy.address for proxy in proxies), strict=True))
        options = {"fleet": name, "address_remap": places.__getitem__, **request.param}
        cache = DistributedCache(list(nodes.addresses), {"OPTIONS": options})
        cache.set_many({key: number for number, key in enumerate(KEYS)})
        yield cache, asked
    finally:
        for proxy in proxies:
            proxy.__exit__(None, None, None)


@pytest.fixture
def cache(nodes):
    """A process."""
    return DistributedCache(list(nodes.addresses), {"OPTIONS": {"fleet": "prefetch"}})


@pytest.fixture
def other(nodes):
    """Another process."""
    return DistributedCache(list(nodes.addresses), {"OPTIONS": {"fleet": "prefetch", "timeout": 0.24}})


def data_commands(asked):
    """Those on keys of the test; a proof of the view is none."""
    return [command for command in asked if b":1:k" in command or b":1:absent" in command]


def read_all(cache):
    """What a page reads by every method that reads."""
    return (
        [cache.get(key) for key in KEYS[:5]],
        cache.get_many(KEYS[5:15]),
        [cache.has_key(key) for key in KEYS[15:18]],
        [cache.get_or_set(key, lambda: "loaded") for key in KEYS[18:]],
        cache.get("absent", "default"),
    )


async def aread_all(cache):
    """The same for event loops."""
    return (
        [await cache.aget(key) for key in KEYS[:5]],
        await cache.aget_many(KEYS[5:15]),
        [await cache.ahas_key(key) for key in KEYS[15:18]],
        [await cache.aget_or_set(key, lambda: "loaded") for key in KEYS[18:]],
        await cache.aget("absent", "default"),
    )


def test_a_page_takes_one_round(counted):
    """After a prefetch no method that reads asks a node, for what is there or for what is not."""
    cache, asked = counted
    expected = read_all(cache)
    cache.prefetch([*KEYS, "absent"])
    asked.clear()
    assert read_all(cache) == expected
    assert not data_commands(asked)


def test_a_page_takes_one_round_on_an_event_loop(counted):
    """The same for coroutines, and for the tasks that they begin."""
    cache, asked = counted
    expected = read_all(cache)

    async def request():
        await cache.aprefetch([*KEYS, "absent"])
        asked.clear()
        return await asyncio.gather(aread_all(cache), sync_to_async(read_all)(cache))

    assert asyncio.run(request()) == [expected, expected]
    assert not data_commands(asked)


def test_what_is_known_is_not_asked_for_again(counted):
    """A second prefetch asks for what is new."""
    cache, asked = counted
    cache.prefetch(KEYS[:10])
    asked.clear()
    cache.prefetch(KEYS[:11])
    assert b":1:k10" in b"".join(data_commands(asked)) and b":1:k9" not in b"".join(data_commands(asked))


@pytest.mark.parametrize("road", ["sync", "async"])
@pytest.mark.parametrize("name", WRITES)
def test_own_writes_are_seen_at_once(cache, name, road):
    """After a write of its own no request is served what was there before."""
    arguments, expected = WRITES[name]
    cache.set("k", 1)
    cache.prefetch(["k"])
    assert cache.get("k") == 1
    if road == "sync":
        getattr(cache, name)(*arguments)
    else:
        asyncio.run(_awaited(getattr(cache, f"a{name}"), *arguments))
    assert cache.get("k") == expected


async def _awaited(call, *arguments):
    await call(*arguments)


def test_what_is_missing_is_loaded(cache):
    """A key that was prefetched and is not there can be added, loaded and read."""
    cache.delete_many(["k", "l"])
    cache.prefetch(["k", "l"])
    assert cache.get("k") is None and not cache.has_key("l")
    assert cache.get_or_set("k", lambda: 1) == 1 == cache.get("k")
    assert cache.add("l", 2) and cache.get("l") == 2


def test_another_process_sees_a_write_within_freshness(cache, other):
    """What is served may be older than a write of another process, and is not for long."""
    cache.set("k", "old")
    cache.prefetch(["k"])
    other.set("k", "new")
    assert cache.get("k") == "old"
    assert cache.get("k", fresh=True) == cache.get_many(["k"], fresh=True)["k"] == "new"
    assert until(lambda: cache.get("k") == "new", seconds=5)


@pytest.mark.parametrize("signal", [request_started, request_finished])
def test_ends_with_the_request(cache, other, signal):
    """What a request has asked for is not served to the next, and nothing of it to another."""
    cache.set("k", "old")
    cache.prefetch(["k"])
    other.set("k", "new")
    assert contextvars.Context().run(cache.get, "k") == "new"
    signal.send(None)
    assert cache.get("k") == "new"


def test_a_caller_that_changes_a_value_changes_it_for_itself(cache):
    """A dict that a view changes is as it was stored for the next reader."""
    cache.set("k", {"a": [1]})
    cache.prefetch(["k"])
    cache.get("k")["a"].append(2)
    assert cache.get("k") == {"a": [1]}


def test_values_in_chunks_are_read_when_they_are_read(cache):
    """A value that lies in chunks is whole with a prefetch, too."""
    cache.set("k", "v" * 3_000_000)
    cache.prefetch(["k"])
    assert len(cache.get("k")) == 3_000_000


def test_values_in_chunks_with_a_near_cache(nodes):
    """The same where what was fetched stays near, for every method that reads."""
    options = {"fleet": "chunksnear", "near": {"bytes": 10_000_000}}
    cache = DistributedCache(list(nodes.addresses), {"OPTIONS": options})
    cache.set("k", "v" * 3_000_000)
    for _ in range(3):
        cache.prefetch(["k", "l"])
        prefetched.forget()
        assert len(cache.get_many(["k", "l"])["k"]) == len(cache.get("k")) == 3_000_000
        assert len(cache.get_or_set("k", lambda: "loaded")) == 3_000_000


def test_nodes_that_are_away_are_no_error(nodes):
    """A prefetch from nodes that do not answer raises nothing; the read that follows does, if it is to."""
    with LocalFleet(1) as own:
        cache = DistributedCache(list(own.addresses), {"OPTIONS": {"fleet": "away", "on_error": "raise"}})
        cache.set("k", 1)
    cache.prefetch(["k"])
    with pytest.raises(NoReplica):
        cache.get("k")


def test_a_cache_that_was_not_used_so_is_as_it_was(nodes):
    """Without a prefetch nothing looks for one."""
    cache = DistributedCache(list(nodes.addresses), {"OPTIONS": {"fleet": "unused"}})
    assert type(cache) is DistributedCache
    cache.prefetch(["k"])
    again = DistributedCache(list(nodes.addresses), {"OPTIONS": {"fleet": "unused"}})
    assert type(cache) is type(again) is not DistributedCache


def test_methods_of_a_class_of_ones_own_stay():
    """A site's own subclass keeps its methods, with a near cache and with a prefetch."""

    class Own(DistributedCache):
        def greeting(self):
            return "hello"

    with LocalFleet(1) as own:
        options = {"fleet": "own", "near": {"bytes": 1_000_000}}
        cache = Own(list(own.addresses), {"OPTIONS": options})
        cache.prefetch(["k"])
        assert cache.greeting() == "hello"


def test_the_class_of_a_cache_is_chosen_once(nodes):
    """With a near cache and a prefetch a cache has its methods from the beginning: a change of class slows it down."""

    class Own(DistributedCache):
        def __init__(self, location, params):
            self.began_as = type(self)
            super().__init__(location, params)

    options = {"fleet": "chosen", "near": {"bytes": 1_000_000}}
    for _ in range(2):
        cache = Own(list(nodes.addresses), {"OPTIONS": options})
        assert type(cache) is cache.began_as is not Own
        cache.prefetch(["k"])


def test_a_subclass_may_change_its_settings(nodes):
    """What a site's own subclass gives to `__init__` counts, also for the methods that the cache has."""

    class Own(DistributedCache):
        def __init__(self, location, params):
            super().__init__(location, params | {"OPTIONS": {"fleet": "changed", "near": {"bytes": 1_000_000}}})

    cache = Own(list(nodes.addresses), {"OPTIONS": {"fleet": "given"}})
    assert cache.fleet.configuration.fleet == "changed" and isinstance(cache, NearMethods)
    cache.set("k", 1)
    assert cache.get("k") == 1
