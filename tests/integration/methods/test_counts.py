"""What django-redis tells of deletes, and how it counts what is not there yet."""

import pytest

replicas = pytest.mark.parametrize("replicas", [1, 2])


@replicas
def test_deletes_are_counted(cache_of, on_road, replicas):
    """With the option a delete of many says how many of the keys there were, however many copies they have; without it
    it says nothing, as in Django."""
    cache = cache_of(replicas, count_deletes=True, fleet=f"counts{replicas}")
    cache.set_many({f"k{number}": number for number in range(700)})
    keys = [f"k{number}" for number in range(100, 900)]
    assert on_road(cache).delete_many(keys) == 600
    assert on_road(cache).delete_many(keys) == 0 == on_road(cache).delete_many([])
    assert len(cache.get_many([f"k{number}" for number in range(700)])) == 100
    plain = cache_of(replicas)
    plain.set("k", 1)
    assert on_road(plain).delete_many(["k"]) is None and plain.get("k") is None


@replicas
def test_a_number_begins(cache_of, on_road, replicas):
    """A number that is absent begins with what is added, and never expires; one that is there keeps its TTL."""
    cache = cache_of(replicas)
    road = on_road(cache)
    assert road.incr("new", 5, ignore_key_check=True) == 5 and cache.ttl("new") is None
    assert road.incr("new", ignore_key_check=True) == 6 == cache.get("new")
    assert road.incr("below", -5, ignore_key_check=True) == -5 == cache.get("below")
    cache.set("there", 1, 1000)
    assert road.incr("there", 2, ignore_key_check=True) == 3 and cache.ttl("there") > 900
    with pytest.raises(ValueError, match="not found"):
        road.incr("absent")
    cache.set("text", "text")
    with pytest.raises(TypeError):
        road.incr("text", ignore_key_check=True)


def test_near(cache_of, on_road):
    """So it is where a process keeps values near."""
    cache = cache_of(near={"bytes": 10**6}, fleet="near-counts", count_deletes=True)
    cache.set_many({"a": 1, "b": 2})
    assert [cache.get("a") for _ in range(5)] == [1] * 5
    assert on_road(cache).delete_many(["a", "b", "c"]) == 2 and cache.get("a") is None
    assert on_road(cache).incr("a", 7, ignore_key_check=True) == 7 == cache.get("a")


@replicas
@pytest.mark.parametrize("there", [2**63, 2**63 - 1, 2**64 - 1])
def test_the_largest_numbers(cache_of, on_road, replicas, there):
    """Each number of 64 bits is counted down, and back, also where the node itself could not count with it."""
    cache = cache_of(replicas)
    road = on_road(cache)
    cache.set("number", there)
    assert [road.decr("number"), road.decr("number", 2), road.incr("number", 3)] == [there - 1, there - 3, there]
    assert cache.get("number") == there
