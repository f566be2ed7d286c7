"""What Django's cache API promises for keys whose only copy is lost: misses and honest answers, never an exception."""

import pytest


@pytest.fixture
def cache(lossy_scene):
    return lossy_scene.cache


@pytest.fixture
def keys(lossy_scene):
    """Five keys whose node does not answer."""
    return lossy_scene.keys(5, copies=False)


@pytest.fixture
def key(keys):
    return keys[0]


def test_reads_are_misses(cache, key, keys):
    """A key that can't be read is a miss."""
    assert cache.get(key) is None
    assert cache.get(key, "default") == "default"
    assert cache.get_many(keys) == {}
    assert not cache.has_key(key)


def test_writes_say_that_they_failed(cache, key, keys):
    """What could not be stored is not said to be stored."""
    assert not cache.set(key, 1)
    assert sorted(cache.set_many(dict.fromkeys(keys, 1))) == sorted(keys)
    assert not cache.add(key, 1)
    assert not cache.touch(key, 60)
    assert not cache.delete(key)
    assert cache.delete_many(keys) is None
    assert cache.get_many(keys) == {}


def test_counters_are_not_there(cache, key):
    """A counter that can't be reached is not found."""
    with pytest.raises(ValueError):
        cache.incr(key)
    with pytest.raises(ValueError):
        cache.decr(key)
    with pytest.raises(ValueError):
        cache.incr_version(key)


def test_get_or_set_is_its_default(cache, key):
    """get_or_set() works without the cache."""
    assert cache.get_or_set(key, lambda: "made") == "made"
    assert cache.get_or_set(key, "given") == "given"


def test_the_rest_of_many_is_served(cache, keys, lossy_scene):
    """One lost node costs its own keys and no others."""
    others = lossy_scene.keys(5) if lossy_scene.situation.nodes > 1 else []
    assert sorted(cache.set_many(dict.fromkeys(others + keys, 1))) == sorted(keys)
    assert cache.get_many(keys + others) == dict.fromkeys(others, 1)


def test_clear_does_not_raise(cache, keys):
    """clear() empties what it can."""
    cache.clear()
    assert cache.get_many(keys) == {}
