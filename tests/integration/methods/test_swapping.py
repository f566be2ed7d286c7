"""Compare and swap."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from django_dcache.flows.copies import Copies
from django_dcache.model import keys

replicas = pytest.mark.parametrize("replicas", [1, 2])


@replicas
@pytest.mark.parametrize("old", ["text", 5, {"a": [1]}, None])
def test_swapped(cache_of, on_road, replicas, old):
    """A value takes the place of an equal one, with its own TTL, on every copy; anything else stays as it is."""
    cache = cache_of(replicas)
    road = on_road(cache)
    assert not road.cas("k", old, "new")
    cache.set("k", old, 3600)
    assert not road.cas("k", "another", "new") and cache.get("k", "none") == old
    assert road.cas("k", old, "new", 60) and cache.get("k") == "new" and 50 <= cache.ttl("k") <= 60
    assert not road.delete_if("k", old) and cache.get("k") == "new"
    assert road.delete_if("k", "new") and cache.get("k", "none") == "none"
    assert not road.delete_if("k", "new")


@replicas
def test_every_copy_has_it(cache_of, replicas):
    """What was swapped in lies on each copy, and what was there before on none."""
    cache = cache_of(replicas)
    cache.set("k", "old")
    assert cache.cas("k", "old", "new")
    name = keys.name(cache.make_key("k"))
    copies = Copies(cache.fleet.view, name)

    def look(view):
        return (yield {node: [copies.get(node)] for node in copies.route.read})

    found = [reply.data for (reply,) in cache.fleet.run(look).values()]
    assert len(found) == replicas and all(b"new" in data for data in found)


def test_near(cache_of):
    """A process that keeps values near sees its own swaps at once."""
    cache = cache_of(near={"bytes": 10**6}, fleet="near")
    cache.set("k", "old", 60)
    assert [cache.get("k") for _ in range(5)] == ["old"] * 5
    assert cache.cas("k", "old", "new") and cache.get("k") == "new"
    assert cache.delete_if("k", "new") and cache.get("k") is None


@replicas
def test_one_wins(cache_of, replicas):
    """Of many callers that swap one value one succeeds: what is counted by swapping is exact."""
    caches = [cache_of(replicas) for _ in range(4)]
    for cache in caches[1:]:
        cache.key_prefix = caches[0].key_prefix
    caches[0].set("number", "0", None)

    def count(cache):
        done = 0
        while done < 25:
            seen = cache.get("number")
            done += cache.cas("number", seen, str(int(seen) + 1), None)
        return done

    with ThreadPoolExecutor(4) as threads:
        done = sum(threads.map(count, caches))
    assert caches[0].get("number") == str(done)


def test_large(cache_of, on_road):
    """A value that needs several items can't be swapped in, and is equal to none."""
    cache = cache_of(1, chunk_bytes=10_000)
    cache.set("large", "x" * 50_000)
    assert not on_road(cache).cas("large", "x" * 50_000, "small")
    with pytest.raises(ValueError, match="too large"):
        on_road(cache).cas("large", "y", "x" * 50_000)


@replicas
def test_set_on_a_condition(cache_of, on_road, replicas):
    """nx stores only where nothing is, xx only where something is; get tells what was there before."""
    cache = cache_of(replicas)
    road = on_road(cache)
    assert road.set("k", 1, xx=True) is False and cache.get("k") is None
    assert road.set("k", 1, nx=True) is True and road.set("k", 2, nx=True) is False and cache.get("k") == 1
    assert road.set("k", "two", 3600, xx=True) is True and cache.get("k") == "two" and cache.ttl("k") > 3500
    assert road.set("k", 3, get=True) == "two" and road.set("k", 4, xx=True, get=True) == 3
    assert road.set("k", 5, nx=True, get=True) == 4 and cache.get("k") == 4
    assert road.set("new", 1, nx=True, get=True) is None and cache.get("new") == 1
    assert road.set("other", 1, get=True) is None and cache.get("other") == 1
    assert road.set("none", 1, xx=True, get=True) is None and cache.get("none") is None
    assert road.set("k", 6, 0, xx=True) is True and cache.get("k") is None
    with pytest.raises(ValueError, match="give one of them"):
        road.set("k", 1, nx=True, xx=True)
