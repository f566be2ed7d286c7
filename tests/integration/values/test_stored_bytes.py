"""Bytes on real nodes that nobody of ours wrote, or wrote for another key, and values that are too large."""

import asyncio
import pickle
from contextlib import closing

import pytest
from django.core.cache.backends.memcached import PyMemcacheCache

from django_dcache.backend import DistributedCache
from django_dcache.commands import Get, Store
from support import extras

SIGNED = {"sign_values": True}  # With the secret of the project, as the state that these aliases share.
GUARDED = [{"serializer": "json"}, SIGNED, {"serializer": "json", "compress": "zlib", **SIGNED}]
NAMES = ["json", "signed", "all"]
MOST = 1000
ran = []


class Planted:
    """Unpickling it runs code."""

    def __reduce__(self):
        return ran.append, ("ran",)


class Site:
    """Caches on the same nodes, each with options of its own, and the bytes behind them."""

    def __init__(self, addresses):
        self._addresses, self._caches = addresses, []
        self.cache = self.alias()

    def alias(self, **options):
        """A cache of this site."""
        params = {"OPTIONS": {"timeout": 5.0, "connect_timeout": 5.0, "fleet": "values", "freshness": 60} | options}
        self._caches.append(DistributedCache(self._addresses, params))
        return self._caches[-1]

    def stored(self, key):
        """What the key's node holds."""
        (reply,) = self.cache.fleet.run(_ask, Get(self._name(key)))
        return reply.flags, reply.data

    def plant(self, key, flags, data):
        """Put bytes under a key, past every codec."""
        self.cache.fleet.run(_ask, Store(self._name(key), 0, data, flags, 300))

    def _name(self, key):
        return self.cache.make_key(key).encode()

    def close(self):
        for cache in self._caches:
            cache.fleet.close()


def _ask(view, command):
    replies = {node: [command] for node in view.place(command.name).route.write}
    (answers,) = (yield replies).values()
    return answers


@pytest.fixture
def site(fleet):
    with closing(Site(fleet(2).addresses)) as site:
        ran.clear()
        yield site


def misses(cache, key):
    """Whether every way to read the key finds nothing, and one to load asks its loader."""
    return (
        cache.get(key) is None
        and cache.get_many([key]) == {}
        and asyncio.run(cache.aget(key)) is None
        and asyncio.run(cache.aget_many([key])) == {}
        and cache.get_or_set(key, lambda: "loaded") == "loaded"
        and cache.get(key) == "loaded"
    )


@pytest.mark.parametrize("options", GUARDED, ids=NAMES)
def test_a_planted_pickle(site, options):
    """A pickle that lies under a key is a miss on every road, is counted, runs no code, and can be overwritten."""
    cache = site.alias(**options)
    site.plant("key", 1, pickle.dumps(Planted()))
    assert misses(cache, "key") and ran == []
    assert cache.fleet.counters["unreadable"] >= 5


@pytest.mark.parametrize("options", GUARDED[1:], ids=NAMES[1:])
def test_another_keys_bytes(site, options):
    """What was stored under another key is a miss."""
    cache = site.alias(**options)
    cache.set("mine", {"user": 1})
    cache.set("yours", {"user": 2})
    site.plant("mine", *site.stored("yours"))
    assert misses(cache, "mine") and cache.get("yours") == {"user": 2}


@pytest.mark.parametrize("options", GUARDED, ids=NAMES)
def test_truncated(site, options):
    """A stored value of which the end is missing is a miss."""
    cache = site.alias(**options)
    cache.set("key", ["value"] * 500)
    flags, data = site.stored("key")
    site.plant("key", flags, data[:-1])
    assert misses(cache, "key")


@pytest.mark.parametrize("compress", extras.options("zlib", "zstd", "lz4"))
def test_a_bomb(site, compress):
    """A value that would unpack to more than `max_value` is a miss."""
    site.alias(compress=compress).set("key", "a" * 5000)
    assert misses(site.alias(compress=compress, max_value=MOST), "key")


@pytest.mark.parametrize("sign", [False, True])
def test_too_large_to_read(site, sign):
    """A value above `max_value` is a miss to an alias with that limit."""
    options = {"secret": "secret", "sign_values": sign}
    site.alias(**options).set("key", "a" * (MOST + 1))
    assert misses(site.alias(**options, max_value=MOST), "key")


@pytest.mark.parametrize("replicas", [1, 2])
def test_too_large_to_store(site, replicas):
    """A value above `max_value` is not stored, on any road, and what was there before is gone; it is counted."""
    cache = site.alias(max_value=MOST)
    large = "a" * (MOST + 1)
    writes = [
        lambda: cache.set("key", large) is False,
        lambda: cache.set_many({"key": large, "other": "small"}) == ["key"],
        lambda: asyncio.run(cache.aset("key", large)) is False,
        lambda: asyncio.run(cache.aset_many({"key": large, "other": "small"})) == ["key"],
    ]
    for refused in writes:
        assert cache.set("key", "old") and refused() and cache.get("key") is None
    assert cache.get("other") == "small"
    assert cache.add("key", large) is False and cache.get("key") is None
    assert cache.get_or_set("key", lambda: large) == large and cache.get("key") is None
    assert cache.fleet.counters["too_large"] == 6
    assert cache.set("key", large[:-1]) and cache.get("key") == large[:-1]


@pytest.mark.parametrize("options", GUARDED, ids=NAMES)
def test_numbers(site, options):
    """Whatever the options, a number counts on its node, for every alias alike."""
    cache = site.alias(**options)
    cache.set("count", 5)
    assert cache.incr("count") == 6 and site.cache.incr("count", -8) == -2 and cache.get("count") == -2


def test_fleets_of_others(site, fleet):
    """With default options Django's own backend reads what we write, and we read what it writes."""
    (address,) = fleet(1).addresses
    theirs, ours = PyMemcacheCache(address, {}), DistributedCache([address], {"OPTIONS": {"fleet": "shared"}})
    values = {"text": "é", "bytes": b"\x00\xff", "number": 5, "none": None, "list": [1, {"two": 2.0}], "bool": True}
    with closing(ours.fleet):
        theirs.set_many(values)
        assert ours.get_many(values) == values
        theirs.clear()
        assert not ours.set_many(values) and theirs.get_many(values) == values
    theirs.close()


def test_moving_to_json_and_signatures(site):
    """A site moves from pickles to signed JSON without a miss: each step reads what the one before and after wrote."""
    steps = [
        {},
        {"read_serializers": ["json"]},
        {"serializer": "json", "read_serializers": ["pickle"]},
        {"serializer": "json", "read_serializers": ["pickle"], "sign_values": True, "read_unsigned": True},
        {"serializer": "json", "sign_values": True},
    ]
    aliases = [site.alias(secret="secret", **step) for step in steps]
    for old, new in zip(aliases[:-1], aliases[1:], strict=True):
        for writer, reader in ((old, new), (new, old)):
            assert writer.set("key", {"old": "and new"}) and reader.get("key") == {"old": "and new"}
