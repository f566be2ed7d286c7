"""Values with tags: an invalidated tag makes all of them unreadable, and nothing brings them back."""

import asyncio
import itertools
import threading

import pytest
from django.core.cache import InvalidCacheKey

from django_dcache import invalidation
from django_dcache.backend import DistributedCache
from django_dcache.invalidation import delete, of_tags
from django_dcache.testing import LocalFleet
from support.scale import FULL
from support.waiting import until

TAG = "product:7"
numbers = itertools.count()


@pytest.fixture(scope="module")
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet


@pytest.fixture(params=["one copy", "two copies", "near"])
def options(request):
    """One copy of each key, two, or one and a near cache."""
    replicas = 2 if request.param == "two copies" else 1
    near = {"near": {"bytes": 10_000_000}} if request.param == "near" else {}
    return {"fleet": request.param.replace(" ", "-"), "replicas": replicas, "timeout": 5.0, **near}


@pytest.fixture
def make(nodes, options):
    """A process: a cache on the fleet, with options of its own, and keys that no other test has."""
    prefix = f"test{next(numbers)}"

    def make(**more):
        return DistributedCache(list(nodes.addresses), {"KEY_PREFIX": prefix, "OPTIONS": options | more})

    return make


@pytest.fixture
def cache(make, monkeypatch):
    """The process that `invalidate` below runs in."""
    cache = make()
    monkeypatch.setattr(invalidation, "find_cache", lambda alias: cache)
    return cache


@pytest.fixture
def other(make, cache):
    """Another process."""
    return make()


def invalidate(*tags):
    assert not delete(of_tags("default", tags))


def test_what_has_an_invalidated_tag_is_gone(cache):
    """After the invalidation of any of its tags a value is a miss for get, get_many, has_key and incr_version."""
    cache.set("k", "v", tags=[TAG, "shop"])
    cache.set_many({"l": [1], "m": 2, "n": b"3"}, tags=["shop"])
    cache.set("plain", 1)
    assert cache.get("k") == "v" and cache.get_many("klmn") == {"k": "v", "l": [1], "m": 2, "n": b"3"}
    invalidate(TAG)
    assert cache.get("k") is None and not cache.has_key("k")
    assert cache.get_many("klmn") == {"l": [1], "m": 2, "n": b"3"}
    invalidate("shop")
    assert cache.get_many(["k", "l", "m", "n", "plain"]) == {"plain": 1}
    with pytest.raises(ValueError, match="not found"):
        cache.incr_version("l")


def test_on_event_loops(cache):
    """The asynchronous methods heed tags as the others do."""

    async def visit():
        await cache.aset("k", "v", tags=[TAG])
        assert not await cache.aset_many({"l": 1, "m": 2}, tags=await cache.atag_versions([TAG, "shop"]))
        assert await cache.aget_or_set("n", slow, tags=[TAG]) == "loaded"
        assert await cache.aget("k") == "v" and len(await cache.aget_many("klmn")) == 4
        await asyncio.to_thread(invalidate, TAG)
        assert await cache.aget("k") is None and await cache.aget_many("klmn") == {}
        assert await cache.aget_or_set("n", slow, tags=[TAG]) == "loaded"
        assert await cache.aget("n") == "loaded"

    async def slow():
        await asyncio.to_thread(int)
        return "loaded"

    asyncio.run(visit())


def test_another_process_sees_it_within_freshness(cache, other):
    """A process that has read the tag a moment ago may serve the value, for `freshness` at most."""
    cache.set("k", "v", tags=[TAG])
    assert other.get("k") == "v" and other.get("k") == "v"
    invalidate(TAG)
    assert until(lambda: other.get("k") is None, seconds=1.5)
    assert cache.get("k") is None


def test_what_nodes_have_told_counts_at_once(make, monkeypatch):
    """A process that has heard from the nodes that a tag is another one serves nothing by the one it knew."""
    mine, theirs = make(freshness=60.0), make(freshness=60.0, timeout=6.0)
    monkeypatch.setattr(invalidation, "find_cache", lambda alias: theirs)
    versions = mine.tag_versions([TAG])
    mine.set("k", "old", tags=versions)
    assert mine.get("k") == mine.get("k") == "old"
    invalidate(TAG)
    assert mine.get("k") == "old"  # Within `freshness`, and without a look at the nodes.
    assert mine.changed_tags(versions) == {TAG}
    assert mine.get("k") is None


def test_a_slow_loader_brings_nothing_back(cache):
    """What was loaded before an invalidation is no value after it, whoever stores it, and whenever."""

    def load():
        row = "old"
        invalidate(TAG)
        return row

    assert cache.get_or_set("k", load, tags=[TAG]) == "old"
    assert cache.get("k") is None
    versions = cache.tag_versions([TAG])
    invalidate(TAG)
    cache.set("k", "old", tags=versions)
    assert cache.get("k") is None
    assert cache.get_or_set("k", lambda: "new", tags=[TAG]) == "new" == cache.get("k")


def test_a_missing_tag_is_a_changed_one(cache, other):
    """A tag that was evicted or lost invalidates what has it, and comes back as another one."""
    cache.set("k", "v", tags=[TAG])
    before = cache.tag_versions([TAG])
    cache.fleet.run(invalidation._remove, [cache.made_tag(TAG)])
    assert until(lambda: other.get("k") is None, seconds=1.5)
    assert other.tag_versions([TAG]) != before and other.get("k") is None


def test_one_of_many_callers_loads(cache):
    """Of callers that find an invalidated value one loads, and the others wait for it."""
    cache.set("k", "old", tags=[TAG])
    invalidate(TAG)
    loads, barrier = [], threading.Barrier(20)
    begun, results = threading.Event(), []

    def load():
        loads.append(1)
        begun.wait(0.2)
        return "new"

    def visit():
        barrier.wait()
        results.append(cache.get_or_set("k", load, tags=[TAG]))

    threads = [threading.Thread(target=visit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and set(results) == {"new"}


def test_an_addition_takes_the_place_of_what_is_invalidated(cache):
    """`add` stores where there is only a value whose tag was invalidated, and refuses where there is one that holds."""
    cache.set("k", "v", tags=[TAG])
    assert not cache.add("k", 1)
    invalidate(TAG)
    assert cache.add("k", 1) and cache.get("k") == 1


def test_counting(cache):
    """A number with tags is a value like any other: nodes can't count with it, and the error says so."""
    cache.set("n", 5, tags=[TAG])
    with pytest.raises(TypeError, match="has tags"):
        cache.incr("n")
    invalidate(TAG)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("n")


def test_a_new_version_of_a_key_keeps_its_tags(cache):
    """`incr_version` moves a value with its tags."""
    cache.set("k", "v", tags=[TAG])
    cache.incr_version("k")
    assert cache.get("k", version=2) == "v"
    invalidate(TAG)
    assert cache.get("k", version=2) is None


def test_a_large_value(make, monkeypatch):
    """Tags of a value in chunks, signed and compressed, are heeded."""
    large = make(fleet="large", chunk_bytes=1000, sign_values=True, secret="s3cret", compress="zlib")
    value = [str(number) for number in range(5000)]
    assert large.set("k", value, tags=[TAG]) and large.get("k") == value
    monkeypatch.setattr(invalidation, "find_cache", lambda alias: large)
    invalidate(TAG)
    assert large.get("k") is None
    assert large.get_or_set("k", lambda: value, tags=[TAG]) == value == large.get("k")


def test_what_is_no_tag(cache):
    """A text in place of a list, and a tag that no node would take, are errors before anything is sent."""
    with pytest.raises(TypeError, match="want a list"):
        cache.set("k", 1, tags=TAG)
    with pytest.raises(InvalidCacheKey):
        cache.set("k", 1, tags=["a b"])
    assert not cache.set("k", 1, tags=[f"t{number}" for number in range(1001)])


def test_an_expired_timeout_deletes(cache):
    """A timeout of zero deletes, with tags as without."""
    cache.set("k", 1)
    cache.set("k", 2, timeout=0, tags=[TAG])
    assert cache.get("k") is None


def test_what_was_prefetched(cache, other):
    """Values that a request has fetched at once are checked as any other, and their tags are fetched in one round."""
    cache.set_many({f"k{number}": number for number in range(20)}, tags=[TAG, "shop"])
    cache.set("k7", 7, tags=["other"])
    keys = [f"k{number}" for number in range(20)]
    other.prefetch(keys)
    assert [other.get(key) for key in keys] == list(range(20))
    invalidate("other")
    assert cache.get("k7") is None
    assert until(lambda: other.get("k7") is None, seconds=1.5) and other.get("k8") == 8


def test_a_tag_on_many_keys(nodes, cache):
    """Invalidating a tag is one delete on each copy of the tag, however many keys have it."""
    keys = 100_000 if FULL else 3000
    for start in range(0, keys, 1000):
        assert not cache.set_many({f"k{number}": number for number in range(start, start + 1000)}, tags=["many"])

    def deletes():
        stats = [node.stats() for node in nodes.nodes]
        return sum(int(each["delete_hits"]) + int(each["delete_misses"]) for each in stats)

    before = deletes()
    invalidate("many")
    assert deletes() - before == cache.fleet.options.replicas
    assert cache.get_many([f"k{number}" for number in range(0, keys, 7)]) == {}
