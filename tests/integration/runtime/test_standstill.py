"""A process that stands still in the middle of a write: stopped, paused with its machine, busy for too long."""

from itertools import count
from time import monotonic

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.conf import parse
from django_dcache.flows.consensus import bump
from django_dcache.model import keys
from django_dcache.runtime.fleet import Fleet

KEY, MADE_KEY = "key", ":1:key"
WRITES = {
    "set": lambda cache: cache.set(KEY, "value", None),
    "delete": lambda cache: cache.delete(KEY),
    "set_many": lambda cache: cache.set_many({KEY: "value"}, None) == [],
    "two rounds": lambda cache: cache.set_many({KEY: "value", "other": "x" * 200_000}, None) == [],
}


class Sleeper:
    """A monotonic clock of a process that is stopped for a minute right before the clock is read for the nth time."""

    def __init__(self):
        self.left, self.slept = -1, 0.0
        self.meanwhile = lambda: None

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            self.slept += 60.0
            self.meanwhile()
        return monotonic() + self.slept


def a_cache(addresses, clock=monotonic, **options):
    """A cache whose process has a clock of its own, and patience with a machine that really is busy."""
    cache = DistributedCache(addresses, {})
    cache.fleet = Fleet(parse("default", addresses, {"timeout": 10.0, "freshness": 10.0} | options), clock)
    return cache


@pytest.fixture
def addresses(fleet):
    return fleet(1).addresses


@pytest.mark.parametrize("kind", WRITES)
def test_nothing_is_lost(addresses, kind):
    """Wherever it stands still: while nothing changes no slot is disowned, and the write is done, unless it stood still
    between its proof and the look whether it has one."""
    clock, refused = Sleeper(), []
    cache = a_cache(addresses, clock)
    for reading in count(1):
        assert cache.set(KEY, "before", None)
        clock.left = reading
        done = WRITES[kind](cache)
        if clock.left > 0:
            break
        refused += [] if done else [reading]
        assert not [*cache.fleet.view.state.unsettled()], reading
        assert not done or cache.get(KEY) == (None if kind == "delete" else "value")
    assert reading - 1 > len(refused)
    cache.fleet.close()


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_read_is_answered(fleet, replicas):
    """Wherever it stands still between one copy and the next, what is missing is loaded, and nothing is raised."""
    clock = Sleeper()
    cache = a_cache(fleet(3).addresses, clock, replicas=replicas)
    for reading in count(1):
        cache.get("another")
        clock.left = reading
        assert cache.get_or_set(f"key{reading}", 5) == 5, reading
        if clock.left > 0:
            break
    assert reading > 5
    cache.fleet.close()


@pytest.mark.parametrize("kind", WRITES)
def test_what_was_decided_by_an_outdated_view_counts_for_nothing(node, proxy, kind):
    """If the fleet changes while a write is on its way, what arrives late is not acknowledged, wherever the process
    stands still: it is not where all others look."""
    clock = Sleeper()
    other = a_cache([node.address], lambda: monotonic() + clock.slept)
    cache = a_cache([node.address], clock, timeout=0.1, address_remap=lambda _: proxy.address)
    other.fleet.proven_view()
    slot = node.address, other.fleet.view.place(keys.name(MADE_KEY)).slot

    def change():
        nonlocal held
        held = other.get(KEY)
        assert other.fleet.run(bump, {slot})
        proxy.release()

    clock.meanwhile = change
    late = 0
    for reading in count(1):
        clock.left, held = -1, None
        while not cache.set(KEY, "before", None):
            clock.slept += 0.5  # Until the bump of the last time is settled.
        proxy.hold("commands")
        clock.left = reading
        done = WRITES[kind](cache)
        proxy.release()
        if clock.left > 0:
            break
        late += held == "before"
        assert not done or held != "before" or other.get(KEY) == (None if kind == "delete" else "value"), reading
        clock.slept += 60.0
    assert late > 1
    cache.fleet.close()
    other.fleet.close()
