"""Whether a key is in the cache, found out without using it."""

import pytest
from django.core.cache.backends.locmem import LocMemCache

from dcache_manager.warming.presence import Presence, look
from django_dcache.backend import DistributedCache


@pytest.fixture
def cache(node):
    """A cache on one node."""
    cache = DistributedCache([node.address], {"OPTIONS": {"timeout": 10.0}})
    yield cache
    cache.fleet.close()


def test_what_a_reader_would_find(cache):
    """A value is there, a key that was never set is missing, and one that a client loads is leased."""
    cache.set("there", 1)
    assert look(cache, "there") is Presence.THERE
    assert look(cache, "missing") is Presence.MISSING
    assert cache.get_or_set("loading", lambda: look(cache, "loading")) is Presence.LEASED
    assert look(cache, "there", version=2) is Presence.MISSING


def test_looking_is_no_use(cache, node):
    """A node does not count a look as a use, which a get is."""
    cache.set("key", 1)
    (key,) = (key for key in node.items() if key.endswith(b"key"))
    look(cache, "key")
    assert node.items()[key]["fetch"] == "no"
    cache.get("key")
    assert node.items()[key]["fetch"] == "yes"


def test_another_backend_is_asked_for_the_key():
    """On a cache that is not ours a look is has_key."""
    other = LocMemCache("presence", {})
    other.set("there", 1)
    assert [look(other, "there"), look(other, "missing")] == [Presence.THERE, Presence.MISSING]
