"""How long healing takes, and how often it is done, on real nodes: what `if not add(…): incr(…)` meets while a node
dies or hangs and returns, and a node that flaps a hundred times. Only with DCACHE_TEST_SCALE=full (minutes).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.model.state import Note
from django_dcache.model.topology import Phase
from django_dcache.testing import LocalFleet
from support.scale import FULL
from support.waiting import lasts, until
from support.working_caches import working

pytestmark = [pytest.mark.timing, pytest.mark.skipif(not FULL, reason="minutes")]
HEALED_AFTER = 3.0
"""Seconds after a node is lost, from which on every key can be counted."""


@contextmanager
def processes(nodes: LocalFleet, count: int, work, **options) -> Iterator[list[DistributedCache]]:
    """That many caches, each in a thread that does `work(cache, number)` all the time."""
    caches = [
        DistributedCache(nodes.addresses, {"OPTIONS": {"fleet": "takes", "idle_connections": 30 + number} | options})
        for number in range(count)
    ]
    assert all(cache.set("first", 1) for cache in caches)
    with working(caches, work, every=0.002):
        yield caches


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("away", ["kill", "freeze"])
def test_counting(fleet, away, replicas):
    """From three seconds after a node was lost, and while it joins again, no key fails to be counted."""
    nodes = fleet(3)
    keys, failed = iter(range(10**9)), []
    lost_at = float("inf")

    def count(cache, number):
        key, began = f"key-{next(keys)}", time.monotonic()
        try:
            cache.add(key, 1, 60) or cache.incr(key)
        except ValueError:
            failed.append(began - lost_at)

    with processes(nodes, 4, count, replicas=replicas) as caches:
        lost_at = time.monotonic()
        getattr(nodes.nodes[0], away)()
        lasts(12)
        nodes.nodes[0].thaw() if away == "freeze" else nodes.nodes[0].start()
        topology = lambda: caches[0].fleet.view.state.topology  # noqa: E731
        assert until(lambda: topology().phase is not Phase.STABLE, 60)
        assert until(lambda: topology().phase is Phase.STABLE and not topology().layout.out, 120)
    late = [round(seconds, 2) for seconds in failed if seconds > HEALED_AFTER]
    print(f"{away}, R = {replicas}: {next(keys)} counted, {len(failed)} failed, after {HEALED_AFTER} s {late}")
    assert not late


def test_a_hundred_flaps(fleet):
    """A node that dies and returns a hundred times is taken out eight times at most."""
    nodes, taken_out = fleet(3), set()
    with processes(nodes, 3, lambda cache, number: cache.set(f"{number}", 1)) as caches:
        for _ in range(100):
            nodes.nodes[0].kill()
            lasts(2.8)
            nodes.nodes[0].start()
            lasts(1.0)
            taken_out.add(caches[0].fleet.view.state.note(nodes.addresses[0], Note.EJECTED))
    assert 1 <= len(taken_out - {0}) <= 8
