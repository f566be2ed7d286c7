"""Snapshots and the log of invalidations: what was invalidated does not come back."""

import time
from itertools import count

from dcache_manager.invalidation import log as invalidation
from dcache_manager.models import Invalidation
from dcache_manager.settings import Regions
from dcache_manager.snapshot.file import Reader
from dcache_manager.snapshot.recent_invalidations import RecentInvalidations
from django_dcache import invalidate
from support.snapshot_site import NAMES, read


def recent(site):
    with (site._folder / "snapshot").open("rb") as file:
        return RecentInvalidations("default", Reader(file).header.began, Regions("eu", ("eu",)))


def test_what_was_invalidated_stays_away(logged):
    """Keys and prefixes that were invalidated after the dump began are not loaded."""
    logged.store()
    logged.dump()
    logged.empty()
    invalidate(["key-1", "key-2"])
    Invalidation.objects.create(region="us", alias="default", kind="prefix", made=[":1:key-12"])
    log = recent(logged)
    loaded = logged.load(log)
    # Of a key that is known by its digest alone nobody can tell that it has another prefix.
    assert loaded.invalidated == 2 + 111 + 1 and log.entries == 2
    assert not read(logged, [b":1:key-1", b":1:key-2", b":1:key-120"])


def test_what_is_invalidated_meanwhile(logged):
    """An entry that comes while its key was already loaded has it deleted again."""
    logged.store()
    logged.dump()
    logged.empty()
    log, ticks = recent(logged), count()

    def tick():
        if next(ticks) == 1:  # Two batches have been loaded by then.
            made = [name.decode() for name in NAMES[:-1:100]]
            Invalidation.objects.create(region="us", alias="default", kind="keys", made=made)

    loaded = logged.load(log, tick=tick, often=0.0)
    logged.another_process()
    assert not read(logged, NAMES[:-1:100]) and log.incomplete == 0
    assert 0 < loaded.invalidated < 30 and len(read(logged)) == len(NAMES) - 30


def test_what_was_applied_before(logged):
    """An entry that this region had applied before the dump began is no business of the load."""
    number = Invalidation.objects.create(region="us", alias="default", kind="keys", made=[":1:key-1"]).pk
    logged.store()
    logged.dump()
    log = recent(logged)
    log.look(False)
    assert log.entries == 1  # written before the dump, and not yet applied
    invalidation.acknowledge(number, "eu")
    later = RecentInvalidations("default", time.time() + 3600, Regions("eu", ("eu",)))
    later.look(False)
    assert later.entries == 0 and recent(logged).reaches
    assert not RecentInvalidations("default", time.time() - 8 * 86400, Regions("eu", ("eu",))).reaches
