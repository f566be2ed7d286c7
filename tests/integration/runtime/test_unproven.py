"""`on_unproven="miss"`: without a majority of keepers nothing that was found is believed."""

import asyncio

import pytest

from django_dcache.backend import DistributedCache
from support.waiting import until

KEYS = [f"key-{number}" for number in range(40)]


@pytest.fixture
def cut_off(fleet):
    """A cache whose keepers are gone but for one, which still holds its keys and answers."""
    nodes = fleet(3)
    options = {"on_unproven": "miss", "freshness": 0.05, "timeout": 0.05, "connect_timeout": 0.05}
    cache = DistributedCache(nodes.addresses, {"OPTIONS": options})
    assert until(lambda: not cache.set_many(dict.fromkeys(KEYS, "old")) and len(cache.get_many(KEYS)) == len(KEYS))
    for node in nodes.nodes[:2]:
        node.kill()
    while cache.fleet.proven:
        cache.get("key-0")
    yield cache
    cache.fleet.close()


def test_a_batch_with_failures_holds_nothing_that_was_found(cut_off):
    """get_many finds nothing, although some of its keys are on the node that answers and some on nodes that don't."""
    assert {} == cut_off.get_many(KEYS)


def test_get_or_set_asks_its_loader(cut_off):
    """get_or_set returns what the loader says, not what the node that answers has."""
    assert ["new"] * len(KEYS) == [cut_off.get_or_set(key, lambda: "new") for key in KEYS]


def test_no_write_is_acknowledged(cut_off):
    """Nothing that is set, deleted, touched, added or counted counts, by one key or by many, on threads or on loops."""
    assert cut_off.set_many(dict.fromkeys(KEYS, "new")) == KEYS
    for key in KEYS:
        assert not cut_off.set(key, "new") and not cut_off.add(f"other-{key}", 1) and not cut_off.delete(key)
        with pytest.raises(ValueError):
            cut_off.incr(key)

    async def main():
        assert await cut_off.aset_many(dict.fromkeys(KEYS, "new")) == KEYS
        assert not any([await cut_off.aset(key, "new") for key in KEYS])

    asyncio.run(main())
