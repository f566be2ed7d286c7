"""TTLs, asked for and changed."""

from datetime import UTC, datetime
from time import time

import pytest
from django.core.cache.backends.base import DEFAULT_TIMEOUT

replicas = pytest.mark.parametrize("replicas", [1, 2])


@replicas
def test_asked(cache_of, on_road, replicas):
    """The seconds left of a key that expires, None of one that never does, 0 of one that is not there."""
    cache = cache_of(replicas)
    cache.set("hour", 1, 3600)
    cache.set("ever", 1, None)
    road = on_road(cache)
    assert 3590 <= road.ttl("hour") <= 3600 and 3_590_000 <= road.pttl("hour") <= 3_600_000
    assert road.ttl("ever") is road.pttl("ever") is None
    assert road.ttl("none") == road.pttl("none") == 0
    cache.set("hour", 1, 3600, version=2)
    assert road.ttl("hour", version=2) and not road.ttl("hour", version=3)


@replicas
def test_changed(cache_of, on_road, replicas):
    """expire, expire_at and persist say whether there is such a key, and every copy has the new TTL."""
    cache = cache_of(replicas)
    road = on_road(cache)
    assert not road.expire("k", 60) and not road.persist("k") and not road.expire_at("k", time() + 60)
    cache.set("k", "value", 3600)
    for changed in (
        lambda: road.expire("k", 60),
        lambda: road.pexpire("k", 60_000),
        lambda: road.expire_at("k", time() + 60),
        lambda: road.expire_at("k", datetime.fromtimestamp(time() + 60, UTC)),
        lambda: road.pexpire_at("k", (time() + 60) * 1000),
        lambda: road.pexpire_at("k", datetime.fromtimestamp(time() + 60, UTC)),
    ):
        assert road.persist("k") and road.ttl("k") is None
        assert changed() and 50 <= road.ttl("k") <= 60
    assert cache.get("k") == "value"
    assert road.pexpire("k", DEFAULT_TIMEOUT) and 250 <= road.ttl("k") <= 300
    assert road.expire_at("k", time() - 1) and cache.get("k") is None


@replicas
def test_with_values(cache_of, on_road, replicas):
    """Values come with the seconds they have left, those in chunks too."""
    cache = cache_of(replicas, chunk_bytes=10_000)
    values = {"text": "x", "large": "x" * 50_000, "number": 5}
    cache.set_many(values, 3600)
    cache.set("ever", None, None)
    found = on_road(cache).get_many_with_ttl([*values, "ever", "none"])
    assert {key: value for key, (value, _) in found.items()} == values | {"ever": None}
    assert found["ever"][1] is None and all(3590 <= found[key][1] <= 3600 for key in values)
