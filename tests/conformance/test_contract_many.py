"""What Django's cache API promises of many keys, loaders and versions, and of keys and values that it can't take.

`test_async_contract.py` has the same for the `a` methods, made from this file.
"""

import pytest
from django.core.cache import InvalidCacheKey


def test_many(cache, keys):
    """set_many, get_many and delete_many do for many keys what their brothers do for one."""
    values = {key: {"number": number} for number, key in enumerate(keys[:10])}
    assert cache.set_many(values) == []
    assert cache.get_many(keys) == values
    assert cache.delete_many(keys[:5]) is None
    assert cache.get_many(keys) == {key: values[key] for key in keys[5:10]}


def test_many_of_none(cache):
    """No keys are no work."""
    assert cache.get_many([]) == {}
    assert cache.set_many({}) == []
    assert cache.delete_many([]) is None


def test_many_from_a_generator(cache, keys):
    """Any iterable of keys will do."""
    cache.set_many(dict.fromkeys(keys, 1))
    assert cache.get_many(key for key in keys) == dict.fromkeys(keys, 1)
    cache.delete_many(key for key in keys)
    assert cache.get_many(keys) == {}


def test_many_large_values(cache, keys):
    """More than any socket buffer holds goes through in both directions."""
    values = {key: bytes([number]) * 300_000 for number, key in enumerate(keys)}
    assert cache.set_many(values) == []
    assert cache.get_many(keys) == values


def test_thousands(cache, keys):
    """Thousands of keys in one call are no more than many; one that is illegal stops the call before any is sent."""
    values = {f"{key}{number}": number for key in keys for number in range(1 + 2500 // len(keys))}
    with pytest.raises(InvalidCacheKey):
        cache.set_many(values | {"x" * 251: 0})
    assert cache.get_many(values) == {}
    assert cache.set_many(values) == []
    assert cache.get_many(values) == values
    cache.delete_many(values)
    assert cache.get_many(values) == {}


def test_set_many_with_no_time(cache, keys):
    """set_many() with no time to live deletes."""
    cache.set_many(dict.fromkeys(keys, 1))
    cache.set_many(dict.fromkeys(keys[:10], 2), 0)
    assert cache.get_many(keys) == dict.fromkeys(keys[10:], 1)


def test_get_or_set(cache, key):
    """get_or_set() stores a value or what a callable returns, once."""
    assert cache.get_or_set(key, lambda: "made", 60) == "made"
    assert cache.get_or_set(key, lambda: "again", 60) == "made"
    assert cache.get_or_set(key, "again") == "made"
    assert cache.get(key) == "made"


def test_get_or_set_of_none(cache, key):
    """None is as good a default as any."""
    assert cache.get_or_set(key, None) is None
    assert cache.has_key(key)
    assert cache.get(key, "default") is None


def test_get_or_set_with_no_time(cache, key):
    """A default with no time to live is returned and not stored."""
    assert cache.get_or_set(key, lambda: 1, 0) == 1
    assert not cache.has_key(key)


def test_get_or_set_raises_what_its_default_raises(cache, key):
    """A default that fails is the caller's to handle, and leaves nothing behind that stands in anybody's way."""
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set(key, lambda: 1 // 0)
    assert cache.add(key, 1)
    assert cache.get(key) == 1


def test_versions(cache, key):
    """Versions of a key are keys of their own."""
    cache.set(key, "one")
    cache.set(key, "two", version=2)
    assert cache.get(key) == "one"
    assert cache.get(key, version=2) == "two"
    assert cache.get_many([key], version=2) == {key: "two"}
    assert cache.delete(key, version=2)
    assert not cache.has_key(key, version=2)
    assert cache.has_key(key)


def test_incr_version(cache, key):
    """A value moves to another version and back."""
    cache.set(key, "value")
    assert cache.incr_version(key) == 2
    assert cache.get(key) is None
    assert cache.get(key, version=2) == "value"
    assert cache.decr_version(key, version=2) == 1
    assert cache.get(key) == "value"
    assert cache.incr_version(key, delta=3) == 4
    assert cache.get(key, version=4) == "value"


def test_incr_version_of_nothing(cache, key):
    """What is not there has no version to change."""
    with pytest.raises(ValueError):
        cache.incr_version(key)
    with pytest.raises(ValueError):
        cache.decr_version(key)


@pytest.mark.parametrize("bad", ["with space", "line\r\nflush_all", "tab\t", "x" * 251, "日" * 90, "_dc:x"])
def test_impossible_keys(cache, keys, bad):
    """A key that memcached would refuse or misread raises in every method, before anything is sent."""
    cache.key_func, made = (lambda key, prefix, version: key), cache.key_func
    try:
        with pytest.raises(InvalidCacheKey):
            cache.get(bad)
        with pytest.raises(InvalidCacheKey):
            cache.get_many([keys[0], bad])
        with pytest.raises(InvalidCacheKey):
            cache.set(bad, 1)
        with pytest.raises(InvalidCacheKey):
            cache.set_many({keys[0]: 1, bad: 1})
        with pytest.raises(InvalidCacheKey):
            cache.add(bad, 1)
        with pytest.raises(InvalidCacheKey):
            cache.delete(bad)
        with pytest.raises(InvalidCacheKey):
            cache.delete_many([keys[0], bad])
        with pytest.raises(InvalidCacheKey):
            cache.incr(bad)
        with pytest.raises(InvalidCacheKey):
            cache.touch(bad)
        with pytest.raises(InvalidCacheKey):
            cache.has_key(bad)
        with pytest.raises(InvalidCacheKey):
            cache.get_or_set(bad, 1)
        assert cache.get(keys[0]) is None
    finally:
        cache.key_func = made


def test_a_long_key(cache, key):
    """A key of 250 bytes, the most there can be, is a key."""
    long_key = key + "x" * (250 - len(cache.make_key(key)))
    assert len(cache.make_key(long_key)) == 250
    assert cache.set(long_key, "set") and cache.get(long_key) == "set"
    assert cache.set_many({long_key: 7}) == [] and cache.get_many([long_key]) == {long_key: 7}
    assert cache.incr(long_key) == 8
    assert cache.delete(long_key) and cache.add(long_key, "added")
    with pytest.raises(InvalidCacheKey):
        cache.get(long_key + "x")


def test_a_value_that_is_too_large(cache, key):
    """A value above OPTIONS["max_value"] is not stored, and the one before it is gone."""
    cache.set(key, "small")
    too_large = bytes(64 * 2**20 + 1)
    assert not cache.set(key, too_large)
    assert cache.get(key) is None
    assert cache.set_many({key: too_large}) == [key]
    assert cache.set(key, "small")


def test_a_value_that_can_not_be_pickled(cache, key):
    """What can't be pickled raises, and the value before it stays."""
    cache.set(key, 1)
    with pytest.raises(Exception, match="pickle"):
        cache.set(key, lambda: None)
    assert cache.get(key) == 1


def test_a_value_that_can_not_be_read(cache, key):
    """A value that can't be turned back into an object is a miss, and replaced by get_or_set()."""
    cache.set(key, Vanishing())
    assert cache.get(key, "default") == "default"
    assert cache.get_many([key]) == {}
    assert not cache.has_key(key)
    assert cache.get_or_set(key, "new") == "new"
    assert cache.get(key) == "new"
    cache.set(key, Vanishing())
    assert cache.add(key, "added") and cache.get(key) == "added"


class Vanishing:
    """As if its class were gone when it is read."""

    def __reduce__(self):
        return _gone, ()


def _gone():
    raise AttributeError("no such class")


def test_clear(cache, keys):
    """After clear() nothing is left, and the cache goes on."""
    cache.set_many(dict.fromkeys(keys, 1))
    cache.clear()
    assert cache.get_many(keys) == {}
    assert cache.set(keys[0], 2)
    assert cache.get(keys[0]) == 2


def test_close(cache, key):
    """Closing costs nothing and breaks nothing: Django does it after every request."""
    cache.set(key, 1)
    cache.close()
    assert cache.get(key) == 1
