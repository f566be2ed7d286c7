"""What Django's cache API promises, for every key that has a copy on a node that works.

`test_async_contract.py` has the same for the `a` methods, made from this file.
"""

import time
from datetime import date

import pytest
from django.core.cache import InvalidCacheKey

VALUES = [
    *("text", "ÿ日本", "", b"bytes \r\n\x00", b"", 0, 1, -1, 2**63 - 1, -(2**63), 2**64, 1.5, True, None),
    *({"a": [1, 2]}, (), date(2026, 7, 1), "x" * 100_000),
]


def test_values_come_back(cache, key):
    """What was set is got, with its type."""
    for value in VALUES:
        assert cache.set(key, value)
        found = cache.get(key, "nothing")
        assert found == value and type(found) is type(value)


def test_a_miss_is_the_default(cache, key):
    """A key that was never set gives the default, None unless another is given."""
    assert cache.get(key) is None
    assert cache.get(key, "default") == "default"


def test_none_is_a_value(cache, key):
    """A stored None is a hit, not a miss."""
    cache.set(key, None)
    assert cache.get(key, "default") is None
    assert cache.has_key(key)


def test_set_replaces(cache, key):
    """The value set last is the one that is got."""
    cache.set(key, 1)
    cache.set(key, "2")
    assert cache.get(key) == "2"


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_no_time_is_a_delete(cache, key, timeout):
    """A value with no time to live is not there, and neither is the one before it."""
    cache.set(key, 1)
    cache.set(key, 2, timeout)
    assert cache.get(key) is None


@pytest.mark.parametrize("timeout", [0, -1])
def test_add_with_no_time(cache, key, timeout):
    """add() with no time to live stores nothing, and says whether it would have stored: True only where nothing is."""
    assert cache.add(key, 1, timeout) is True
    assert cache.get(key) is None
    cache.set(key, 2)
    assert cache.add(key, 3, timeout) is False
    assert cache.get(key) == 2


@pytest.mark.parametrize("timeout", [None, 9.5, 60, 40 * 24 * 3600])
def test_any_other_time_is_a_value(cache, key, timeout):
    """No end, a broken number of seconds, more than memcached's thirty days: the value can be read at once."""
    cache.set(key, 1, timeout)
    assert cache.get(key) == 1


def test_time_to_live_reaches_every_node(cache, key, scene):
    """Each copy ends when it was told to; without a timeout, after Django's 300 seconds."""
    cache.set(key, 1, 1000)
    assert ends(scene, key) and all(abs(end - time.time() - 1000) < 60 for end in ends(scene, key))
    cache.set(key, 1)
    assert ends(scene, key) and all(abs(end - time.time() - 300) < 60 for end in ends(scene, key))
    cache.set(key, 1, None)
    assert set(ends(scene, key)) == {-1}


def ends(scene, key):
    """When the copies of `key` expire, in Unix time; -1: never."""
    command = f"mg {scene.cache.make_key(key)} t s\r\n".encode()
    answers = [node.ask(command).split() for node in scene.local.nodes if node is not scene.broken]
    left = [int(answer[1][1:]) for answer in answers if answer[0] == b"HD"]
    return [-1 if seconds == -1 else time.time() + seconds for seconds in left]


def test_add_only_if_absent(cache, key):
    """add() stores once, and says whether it did."""
    assert cache.add(key, 1)
    assert not cache.add(key, 2)
    assert cache.get(key) == 1


def test_add_after_delete(cache, key):
    """What was deleted can be added."""
    cache.set(key, 1)
    cache.delete(key)
    assert cache.add(key, 2)
    assert cache.get(key) == 2


def test_delete_says_what_was_there(cache, key):
    """delete() is True once, and the value is gone."""
    cache.set(key, 1)
    assert cache.delete(key)
    assert not cache.delete(key)
    assert cache.get(key) is None


def test_has_key(cache, key):
    """has_key() follows set and delete."""
    assert not cache.has_key(key)
    cache.set(key, 1)
    assert cache.has_key(key)
    cache.delete(key)
    assert not cache.has_key(key)


def test_touch(cache, key, scene):
    """touch() gives every copy a new end, and says whether there was a value."""
    assert not cache.touch(key, 1000)
    cache.set(key, 1, 60)
    assert cache.touch(key, 1000)
    assert ends(scene, key) and all(abs(end - time.time() - 1000) < 60 for end in ends(scene, key))
    assert cache.get(key) == 1


def test_touch_with_no_time(cache, key):
    """touch() with no time to live deletes."""
    cache.set(key, 1)
    assert cache.touch(key, 0)
    assert cache.get(key) is None
    assert not cache.touch(key, 0)


def test_incr_and_decr(cache, key):
    """Counting gives the new number, in both directions and through zero."""
    cache.set(key, 5)
    assert cache.incr(key) == 6
    assert cache.incr(key, 10) == 16
    assert cache.decr(key) == 15
    assert cache.decr(key, 20) == -5
    assert cache.incr(key, -1) == -6
    assert cache.incr(key, 10) == 4
    assert cache.get(key) == 4


def test_incr_keeps_the_end(cache, key, scene):
    """Counting does not change how long a counter lives."""
    cache.set(key, 5, 1000)
    cache.incr(key)
    assert ends(scene, key) and all(abs(end - time.time() - 1000) < 60 for end in ends(scene, key))


def test_incr_of_nothing(cache, key):
    """A counter that is not there can't be counted, in either direction."""
    with pytest.raises(ValueError):
        cache.incr(key)
    with pytest.raises(ValueError):
        cache.decr(key)
    assert cache.get(key) is None


def test_incr_of_something_else(cache, key):
    """A value that is no whole number can't be counted, and stays."""
    cache.set(key, "text")
    with pytest.raises(TypeError):
        cache.incr(key)
    with pytest.raises(TypeError):
        cache.incr(key, 1.5)
    assert cache.get(key) == "text"


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
    assert cache.get_or_set(key, "new") == "new"
    assert cache.get(key) == "new"


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
