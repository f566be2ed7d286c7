"""Which keys there are, and sweeps."""

import pytest
from django.core.exceptions import ImproperlyConfigured

replicas = pytest.mark.parametrize("replicas", [1, 2])


@replicas
def test_keys(cache_of, on_road, replicas):
    """Each key that can be read is listed once, by the application's name; no other version, alias or stub is."""
    cache, other = cache_of(replicas), cache_of(replicas)
    wanted = {f"item:{number}" for number in range(300)} | {"é*", "[x]", "user~1"}
    cache.set_many(dict.fromkeys(wanted, 1))
    cache.set("item:version", 1, version=2)
    other.set("item:other", 1)
    cache.delete("gone")
    cache.get_or_set("left", lambda: cache.delete("left"), 0)
    road = on_road(cache)
    assert sorted(road.iter_keys()) == sorted(wanted) == sorted(road.keys())
    assert len(list(road.iter_keys("item:*", itersize=10))) == 300
    assert set(road.keys("item:1?")) == {f"item:1{digit}" for digit in range(10)}
    assert road.keys("[[]x]") == ["[x]"] and road.keys("é*") == ["é*"] and road.keys("ITEM:*") == []
    assert road.keys(version=2) == ["item:version"]


@replicas
def test_delete_pattern(cache_of, on_road, replicas):
    """What matches is deleted from every copy, and counted; nothing else is touched."""
    cache = cache_of(replicas)
    cache.set_many({f"user:{number}:cart": 1 for number in range(700)} | {"user:list": 1})
    cache.set("user:1:cart", 1, version=2)
    road = on_road(cache)
    assert road.delete_pattern("user:*:cart") == 700 and road.keys() == ["user:list"]
    assert road.delete_pattern("user:*:cart") == 0
    assert cache.get("user:1:cart", version=2) == 1
    assert road.delete_pattern("*", version=2) == 1


def test_a_sweep_is_bounded(cache_of, on_road):
    """A sweep that has used up its time says so; what was done until then stays done."""
    cache = cache_of()
    cache.set_many({f"k{number}": 1 for number in range(2000)})
    with pytest.raises(TimeoutError, match="are not through"):
        on_road(cache).delete_pattern("*", seconds=0)
    left = len(cache.keys())
    assert left and cache.delete_pattern("*") == left and cache.keys() == []


def test_key_functions(cache_of):
    """Keys that the safe KEY_FUNCTION hashed are left out; from what a site's own makes there is no way back."""
    cache = cache_of(key_function="django_dcache.keys.safe_key")
    cache.set_many({"plain": 1, "with space": 2, "x" * 300: 3})
    assert cache.keys() == ["plain"]
    assert cache.get_many(["plain", "with space", "x" * 300]) == {"plain": 1, "with space": 2, "x" * 300: 3}
    with pytest.raises(ImproperlyConfigured, match="no way back"):
        cache_of(key_function=lambda key, prefix, version: key).keys()
