"""Prefixes with a generation, on real nodes: O(1), seen by everybody within `freshness`, and nothing staler for it."""

import asyncio
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.test import override_settings

from dcache_manager.inspection.verify import Verification
from dcache_manager.invalidation.prefix_sweep import sweep
from django_dcache import invalidate
from django_dcache.backend import DistributedCache
from django_dcache.flows.consensus import bump_prefix
from django_dcache.invalidation import carry_out, of_prefix
from django_dcache.model.stamps import STAMPS
from django_dcache.testing import LocalFleet, LocalNode
from support.waiting import lasts, turn, until

OPTIONS: dict[str, Any] = {"freshness": 0.2, "timeout": 0.5, "prefixes": ["book:", "page:"], "fleet": "default"}
SECONDS = 60 if os.environ.get("DCACHE_TEST_SCALE") == "full" else 3


def process(nodes: LocalFleet, number: int = 0, **options: Any) -> DistributedCache:
    """The cache as another process has it: with a view and connections of its own."""
    return DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | {"idle_connections": 50 + number} | options})


@pytest.fixture
def nodes(fleet: Callable[..., LocalFleet]) -> Any:
    """Three nodes behind the alias "default", which refuse to list their keys."""
    nodes = fleet(3, extra=["-X"])
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses, "OPTIONS": OPTIONS}
    with override_settings(CACHES={"default": entry}):
        yield nodes


def commands(node: LocalNode) -> int:
    """How many keys a node was asked for, to read or to write."""
    return sum(int(number) for name, number in node.stats().items() if name in ("cmd_get", "cmd_set", "delete_hits"))


@pytest.mark.parametrize("keys", [10, 2000])
def test_constant_cost(nodes: LocalFleet, keys: int) -> None:
    """However many keys there are: a proof, a document read and one written on each keeper, and no list of keys."""
    cache.set_many({f"book:{number}": number for number in range(keys)})
    cache.set("author:1", 1)
    long = "book:" + "x" * 230
    cache.set(long, 1)
    before = sum(map(commands, nodes.nodes))
    invalidate(prefix="book:")
    assert sum(map(commands, nodes.nodes)) - before <= 12
    assert not cache.get_many([long, *(f"book:{number}" for number in range(keys))])
    assert cache.get("author:1") == 1 and cache.get("book:1", 0, version=2) == 0


def test_others_see_it(nodes: LocalFleet) -> None:
    """Another process misses within `freshness`, one without the option too; then the prefix is a cache again."""
    others = [process(nodes), process(nodes, prefixes=[])]
    assert cache.set("book:1", "old") and [other.get("book:1") for other in others] == ["old"] * 2
    invalidate(prefix="book:")
    assert cache.get("book:1") is None
    assert until(lambda: [other.get("book:1") for other in others] == [None] * 2, OPTIONS["freshness"] + 0.1)
    assert cache.set("book:1", "new") and cache.get("book:1") == "new"
    assert [other.get("book:1") for other in others] == ["new"] * 2
    assert until(lambda: cache.get("book:1") and process(nodes, 9).set("book:2", 2), 5)
    assert cache.incr("book:2") == 3 and cache.touch("book:2", 60) and cache.delete("book:2")


def test_async(nodes: LocalFleet) -> None:
    """On an event loop the same: gone at once here, and stored again."""

    async def main() -> None:
        ours = process(nodes, 1)
        assert await ours.aset_many({"book:1": 1, "book:2": 2, "author:1": 3}) == []
        await asyncio.to_thread(invalidate, prefix="book:")
        await turn()
        give_up = time.monotonic() + OPTIONS["freshness"] + 0.1
        while await ours.aget_many(["book:1", "book:2", "author:1"]) != {"author:1": 3}:
            assert time.monotonic() < give_up
        assert await ours.aadd("book:2", 7) and await ours.aincr("book:2") == 8
        assert await ours.aset("book:1", "new")
        assert await ours.aget("book:1") == await ours.aget_or_set("book:1", "x") == "new"
        assert await ours.adelete("book:1") and await ours.aget("book:1") is None

    asyncio.run(main())


@pytest.mark.parametrize("replicas", [1, 2])
def test_created_at_once(fleet: Callable[..., LocalFleet], replicas: int) -> None:
    """Right after an invalidation counters, locks, sessions and loaded values come anew, whatever was there before."""
    ours = process(fleet(3), 3, replicas=replicas)
    keys = [f"book:{number}" for number in range(40)]
    for before in (1, "text", {"a": "pickle"}):
        assert ours.set_many(dict.fromkeys(keys, before)) == []
        ours.fleet.run(bump_prefix, ":1:book:")
        for number, key in enumerate(keys):
            assert ours.get(key) is None and not ours.has_key(key) and not ours.touch(key, 60)
            if number % 4 == 0:
                assert ours.add(key, 1, 60) and ours.incr(key) == 2 and ours.decr(key, 5) == -3
            elif number % 4 == 1:
                assert not ours.delete(key) and ours.get_or_set(key, lambda: "loaded") == "loaded"
                assert ours.get(key) == "loaded" and ours.touch(key, 60)
            elif number % 4 == 2:
                with pytest.raises(ValueError, match="not found"):
                    ours.incr(key)
                assert ours.set(key, [1]) and ours.get(key) == [1] and ours.delete(key)
            else:
                assert ours.get_many([key, "book:0"]) == {"book:0": -3} and ours.add(key, None)
    assert ours.set_many({key: number for number, key in enumerate(keys)}) == []
    assert ours.get_many(keys) == {key: number for number, key in enumerate(keys)}


def test_behind_the_times(nodes: LocalFleet) -> None:
    """A process that has not heard of an invalidation yet reads what is newer, adds and counts beside the others, and
    what it stores is a miss for them: a delete by it is heard by all."""
    ours, late = process(nodes, 4), process(nodes, 5)
    assert ours.set("book:1", "old") and late.get("book:1") == "old"
    late.fleet.renew_at = late.fleet.plain_until = float("inf")  # It proves nothing any more.
    ours.fleet.run(bump_prefix, ":1:book:")
    assert ours.get("book:1") is None and late.get("book:1") == "old"
    assert ours.add("book:1", 1) and late.get("book:1") == 1 and not late.add("book:1", 2)
    assert late.incr("book:1") == 2 and ours.incr("book:1") == 3
    assert late.delete("book:1") and ours.get("book:1") is None
    assert ours.set("book:1", "new") and late.set("book:1", "late") and ours.get("book:1") is None
    assert ours.get_or_set("book:1", lambda: "loaded") == late.get("book:1") == "loaded"


def test_names_change(nodes: LocalFleet) -> None:
    """Every 512th invalidation changes names: nothing is stored for a while then, and nothing old is read."""
    ours = process(nodes, 6)
    for _ in range(STAMPS - 1):
        ours.fleet.run(bump_prefix, ":1:book:")
    assert ours.set("book:1", "old") and ours.get("book:1") == "old"
    ours.fleet.run(bump_prefix, ":1:book:")
    assert ours.get("book:1") is None and not ours.set("book:1", "new") and not ours.add("book:1", "new")
    assert until(lambda: ours.set("book:1", "new")) and ours.get("book:1") == "new"
    ours.fleet.run(bump_prefix, ":1:book:")
    assert ours.get("book:1") is None and ours.set("book:1", "newer") and ours.get("book:1") == "newer"


def test_no_majority(nodes: LocalFleet) -> None:
    """Without a majority of keepers the caller is told, and what is there stays readable; with one it goes."""
    kept = next(key for key in map("book:{}".format, range(99)) if owner(key) == nodes.addresses[0])
    cache.set(kept, 1)
    for node in nodes.nodes[1:]:
        node.kill()
    assert carry_out(of_prefix("default", "book:")) is False
    for node in nodes.nodes[1:]:
        node.start()
    assert until(lambda: carry_out(of_prefix("default", "book:")) and cache.get(kept) is None)


def owner(key: str) -> str:
    view = caches["default"].fleet.proven_view()
    return str(view.place(view.name(f":1:{key}")).route.read[0])


def test_tools(fleet: Callable[..., LocalFleet]) -> None:
    """A sweep of another prefix leaves invalidated keys alone, one of a shorter one takes them; no key is a stray."""
    nodes = fleet(3)
    ours = process(nodes, 2, replicas=2)
    ours.set("book:0", 1)
    ours.fleet.run(bump_prefix, ":1:book:")
    assert ours.set("book:1", 1) and ours.set("author:1", 1)
    assert Verification(ours.fleet, time.sleep).run().clean
    assert sweep(ours.fleet, ":1:author:").complete and ours.get_many(["book:1", "author:1"]) == {"book:1": 1}
    assert sweep(ours.fleet, ":1:").complete and ours.get("book:1") is None


def test_nothing_stale(nodes: LocalFleet) -> None:
    """While prefixes are bumped all the time no read lags a set or delete by more than `freshness` and a timeout."""
    chance, end = random.Random(3), time.monotonic() + SECONDS
    ended: dict[str, list[float]] = defaultdict(list)
    events: Counter[str] = Counter()
    lags = [0.0]

    def write(number: int) -> None:
        """The value is the number of the write; one that is deleted, or not stored, is as good as overwritten."""
        ours = process(nodes, number)
        while time.monotonic() < end:
            key = f"book:{chance.randrange(3)}:{number}"
            value = len(ended[key])
            if value % 5 == 4:
                ours.delete(key)
            else:
                events["stored" if ours.set(key, value) else "held back"] += 1
            ended[key].append(time.monotonic())

    def read(number: int) -> None:
        ours = process(nodes, number)
        while time.monotonic() < end:
            for key in list(ended):
                began = time.monotonic()
                found = ours.get(key)
                events["missed" if found is None else "hit"] += 1
                if found is not None and found + 1 < len(ended[key]):
                    lags.append(began - ended[key][found + 1])

    def bump() -> None:
        while time.monotonic() < end:
            invalidate(prefix="book:")
            events["bumps"] += 1
            lasts(chance.uniform(0.1, 0.6))

    work = [(write, 10), (write, 11), (read, 20), (read, 10)]
    threads = [threading.Thread(target=target, args=(number,)) for target, number in work]
    threads.append(threading.Thread(target=bump))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{dict(events)}, worst lag {max(lags):.3f} s")
    assert max(lags) <= OPTIONS["freshness"] + OPTIONS["timeout"]
    assert events["hit"] > 100 and events["stored"] and not events["held back"] and events["bumps"] > 2
