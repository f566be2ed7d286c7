"""What Django's cache API promises, for every key that has a copy on a node that works: one key.

`test_async_contract.py` has the same for the `a` methods, made from this file.
"""

import time
from datetime import date

import pytest

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
    assert scene.ends(key) and all(abs(end - time.time() - 1000) < 60 for end in scene.ends(key))
    cache.set(key, 1)
    assert scene.ends(key) and all(abs(end - time.time() - 300) < 60 for end in scene.ends(key))
    cache.set(key, 1, None)
    assert set(scene.ends(key)) == {-1}


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
    assert scene.ends(key) and all(abs(end - time.time() - 1000) < 60 for end in scene.ends(key))
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
    assert scene.ends(key) and all(abs(end - time.time() - 1000) < 60 for end in scene.ends(key))


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
