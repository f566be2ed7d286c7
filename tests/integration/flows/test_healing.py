"""A node that answers no process, on real nodes: its share is served elsewhere, for threads and for event loops."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.model.topology import Phase
from django_dcache.testing import LocalFleet
from support.waiting import until

OPTIONS: dict[str, Any] = {"freshness": 0.6, "timeout": 1.0, "eject_after": 0.5, "fleet": "healing"}
KEYS = [f"k{number}" for number in range(60)]


def process(nodes: LocalFleet, number: int = 0, **options: Any) -> DistributedCache:
    """The cache as another process has it."""
    return DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | {"idle_connections": 50 + number} | options})


def out(cache: DistributedCache) -> frozenset[str]:
    """The nodes that are out of service, as this process knows by now."""
    cache.get("k0")
    return cache.fleet.view.state.topology.layout.out


@pytest.mark.parametrize(
    ("hangs", "replicas", "options"),
    [
        (False, 1, {}),
        (False, 2, {}),
        (True, 1, {}),
        (True, 2, {}),
        pytest.param(False, 1, {"eject_after": 0.0}, id="one takes no node out"),
    ],
)
def test_a_node_that_is_lost(
    fleet: Callable[..., LocalFleet], hangs: bool, replicas: int, options: dict[str, float]
) -> None:
    """Once it is out every method works for every key, from threads and event loops alike, and both see the same; also
    one that takes no node out by itself, and follows what the others decide."""
    nodes = fleet(3)
    one, other = process(nodes, replicas=replicas), process(nodes, 1, replicas=replicas, **options)
    assert one.set_many(dict.fromkeys(KEYS, "before")) == [] and len(other.get_many(KEYS)) == len(KEYS)
    lost = nodes.nodes[0]
    lost.freeze() if hangs else lost.kill()
    assert until(lambda: out(one) == out(other) == {lost.address}, 20)
    lasted = one.fleet.view.hold  # With several copies the slots of a node that was taken out are in quarantine for it.
    assert until(lambda: not one.set_many(dict.fromkeys(KEYS, "after")), lasted + 5)
    assert other.get_many(KEYS) == dict.fromkeys(KEYS, "after")
    one.delete_many(KEYS)
    for key in KEYS:
        assert one.add(key, 1) and other.incr(key) == 2 and other.touch(key, 60) and not other.add(key, 1)

    async def main() -> None:
        assert await one.aget_many(KEYS) == dict.fromkeys(KEYS, 2)
        assert await asyncio.gather(*map(one.aincr, KEYS)) == [3] * len(KEYS)
        assert await asyncio.gather(*map(one.adelete, KEYS)) == [True] * len(KEYS)
        loaded = await asyncio.gather(*(one.aget_or_set(key, lambda: "loaded") for key in KEYS))
        assert loaded == ["loaded"] * len(KEYS) and await other.aget(KEYS[0]) == "loaded"
        assert await one.aset_many(dict.fromkeys(KEYS, "set")) == []
        assert await asyncio.gather(*map(other.aget, KEYS)) == ["set"] * len(KEYS)

    asyncio.run(main())
    assert other.get_many(KEYS) == dict.fromkeys(KEYS, "set")


def test_its_return(fleet: Callable[..., LocalFleet]) -> None:
    """A node that is back joins again by itself, with nothing old, and what stood in for it is brought over."""
    nodes = fleet(3)
    one, other = process(nodes), process(nodes, 1)
    for cache in (one, other):
        cache.fleet.healer.rules = replace(cache.fleet.healer.rules, quiet=0.5, lazily=1.0)
    assert one.set_many(dict.fromkeys(KEYS, "before")) == [] and other.get("k0") == "before"
    lost = nodes.nodes[0]
    lost.freeze()
    assert until(lambda: out(one) == out(other) == {lost.address}, 20)
    assert one.set_many(dict.fromkeys(KEYS, "after")) == [] and one.set("n", 1)
    lost.thaw()

    def at_home() -> bool:
        assert set(one.get_many(KEYS).values()) | set(other.get_many(KEYS).values()) == {"after"}
        one.incr("n")
        return not out(one) and one.fleet.view.state.topology.phase is Phase.STABLE

    assert until(at_home, 60)
    assert one.get_many(KEYS) == dict.fromkeys(KEYS, "after") and other.incr("n") == one.incr("n") - 1
