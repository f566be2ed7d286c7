"""Snapshots dumped from real nodes, and loaded into them again."""

import time

import pytest
from django.core.cache import cache
from django.test import override_settings

from dcache_manager.models import Invalidation
from dcache_manager.settings import Regions
from dcache_manager.snapshot.recent_invalidations import RecentInvalidations
from django_dcache.flows.consensus import agree, bump
from django_dcache.model import keys
from django_dcache.model.state import prefix_slot
from django_dcache.model.view import Standing
from support.snapshot_site import NAMES, OPTIONS, read
from support.waiting import until

MONTHS = 90 * 86400


@pytest.mark.parametrize("replicas", [1, 2])
def test_what_the_general_flow_stores(site, replicas):
    """A load puts on each node just what `write` had put there, under the same wire keys, generations included."""
    site = site(3, replicas=replicas, timeout=10.0)
    site.store(NAMES[:2000], b"123", flags=2)
    site.store(NAMES[2000:], b"", flags=7)
    if replicas == 1:
        first, *others = site.nodes.addresses
        assert site.fleet.run(bump, {(node, slot) for node in others for slot in range(40)})
        assert site.fleet.run(bump, {(first, slot) for slot in range(256)})
        slots = [(node, slot) for node in site.nodes.addresses for slot in range(256)]
        assert until(lambda: all(site.fleet.proven_view().standing(*slot) is Standing.OPEN for slot in slots))
        site.store(NAMES[:2000], b"123", flags=2)
        site.store(NAMES[2000:], b"", flags=7)
    # Older generations are still there, and out of reach.
    reachable = {
        node: {key: item for key, item in held.items() if _current(site, node, key)}
        for node, held in site.items().items()
    }
    dumped = site.dump()
    assert dumped.items == len(NAMES) and dumped.complete
    site.empty()
    loaded = site.load()
    assert loaded.stored == len(NAMES) and loaded.complete
    assert site.items() == reachable
    assert sum(map(len, reachable.values())) == replicas * len(NAMES)


def _current(site, node, key):
    name, generation = keys.parse_wire_key(key)
    return generation == site.fleet.view.generation(node, site.fleet.view.place(name).slot)


def test_deadlines(site):
    """What is left of a TTL is kept to the second, beyond 30 days too; what has expired meanwhile is not stored."""
    site = site(2, replicas=2)
    month, soon, never, gone = NAMES[:4]
    site.store([month], ttl=MONTHS)
    site.store([soon], ttl=100)
    site.store([never])
    site.store([gone], ttl=2)
    left = {name: site.ttls(name) for name in NAMES[:3]}
    began = time.time()
    assert site.dump().items == 4
    site.empty()
    assert until(lambda: time.time() > began + 2.1)
    loaded = site.load()
    assert (loaded.stored, loaded.expired) == (3, 1)
    passed = time.time() - began
    assert site.ttls(never) == [-1, -1]
    for name in (month, soon):
        assert all(
            abs(before - passed - after) <= 1.5 for before, after in zip(left[name], site.ttls(name), strict=True)
        )


def test_counters(site):
    """A number that was loaded can be counted on."""
    site = site(2)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": site.nodes.addresses}
    entry["OPTIONS"] = OPTIONS
    with override_settings(CACHES={"default": entry}):
        cache.set_many({"up": 41, "below": -1, "text": "é"})
        site.dump()
        site.empty()
        site.load()
        cache.fleet.close()  # The nodes have closed its connections: a count over one may be lost.
        assert (cache.incr("up"), cache.incr("below", 3), cache.get("text")) == (42, 2, "é")


def test_prefix(site):
    """A dump of a prefix holds those keys alone."""
    site = site(2)
    site.store()
    assert site.dump(b":1:key-12").items == 111


def test_prefix_generations(site):
    """What was stored before its prefix was invalidated is not dumped; the rest comes back under its present name."""
    site = site(2)
    site.store()
    settled = {prefix_slot(":1:key-12"): 2}
    assert site.fleet.run(agree, lambda state: state.bumped(settled)).majority
    assert site.dump().items == len(NAMES) - 111
    present = site.fleet.view.name(":1:key-12")
    site.store([present], b"new")
    assert site.dump().items == len(NAMES) - 110
    site.empty()
    assert site.load().stored == len(NAMES) - 110
    found = read(site, [present, NAMES[12], NAMES[13]])
    assert {name: value.data for name, value in found.items()} == {present: b"new", NAMES[13]: b"value"}


# The log of invalidations


def test_long_keys_with_hash_tags(logged):
    """A long key of an alias with hash tags, invalidated meanwhile, is known by its name in the snapshot."""
    made = f":1:{{tag}}{'x' * 237}"
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": logged.nodes.addresses}
    entry["OPTIONS"] = OPTIONS | {"hash_tags": True}
    Invalidation.objects.create(region="us", alias="default", kind="keys", made=[made])
    with override_settings(CACHES={"default": entry}):
        log = RecentInvalidations("default", time.time(), Regions("eu", ("eu",)))
        log.look(False)
        cache.close()
    assert log.covers(keys.name(made, hash_tags=True)) and not log.covers(keys.name(made))
