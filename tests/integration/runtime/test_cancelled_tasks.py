"""Tasks that are cancelled: no other task gets their replies, and what they wrote is brought to its end or bumped."""

import asyncio
import random

import pytest

from django_dcache.runtime import aio_loop as runner
from support.placed import copies
from support.waiting import turn

uvloop = pytest.importorskip("uvloop")


def test_cancellations_harm_nobody(run, make_cache, fleet):
    """Of ten thousand tasks many are cancelled at any point: no other gets a wrong reply, no connection is lost."""
    local = fleet(3)
    cache = make_cache(local.addresses, async_connections=2)
    chance = random.Random(20260701)
    keys = [f"key{number}" for number in range(50)]

    async def one(number):
        key = chance.choice(keys)
        match chance.randrange(5):
            case 0:
                await cache.aset(key, (key, number, "x" * chance.choice([1, 1000, 100_000])))
            case 1:
                found = await cache.aget_many(keys[:20])
                assert all(value[0] == key for key, value in found.items())
            case 2:
                await cache.aincr("counter")
            case 3:
                made = await cache.aget_or_set(key, (key, number))
                assert made[0] == key
            case _:
                found = await cache.aget(key)
                assert found is None or found[0] == key

    async def main():
        await cache.aset("counter", 0)
        most: dict[str, int] = {}
        completed = 0
        for _ in range(100):
            tasks = [asyncio.create_task(one(number)) for number in range(100)]
            for _ in range(chance.randrange(8)):
                await turn()
            for task in chance.sample(tasks, 60):
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError | None) for result in done), done
            completed += sum(result is None for result in done)
            for node, count in runner.runner_of(cache.fleet).transport.connections.items():
                most[node] = max(most.get(node, 0), count)
        assert completed >= 4000
        assert 0 < max(most.values()) <= 2
        return await cache.aget("counter")

    assert run(main()) > 0
    assert all(pool.opened <= 2 for pool in cache.fleet.transport.pools().values())
    assert not runner._runners


def test_a_cancelled_write_is_brought_to_its_end(run, make_cache, node):
    """A task that is cancelled leaves at once; what it was writing is written, or made harmless, all the same."""
    cache = make_cache([node.address])

    async def main():
        await cache.aset("key", "before")
        task = asyncio.create_task(cache.aset("key", "after"))
        await turn()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await cache.aget("key")

    assert run(main()) == "after"


def test_a_cancelled_write_to_a_hung_node_is_bumped(run, make_cache, fleet):
    """A node that wakes and executes a write whose task was cancelled long ago does not bring its value back."""
    local = fleet(3)
    cache = make_cache(local.addresses, timeout=0.5, freshness=0.5)
    key = next(f"key{n}" for n in range(100) if copies(cache, f"key{n}")[0] == local.addresses[0])

    async def main():
        await cache.aset(key, "before")
        local.nodes[0].freeze()
        task = asyncio.create_task(cache.aset(key, "zombie"))
        await turn()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())  # Returns when the flow that was left alone has ended.
    assert cache.fleet.view.bumps
    local.nodes[0].thaw()
    assert cache.get(key) is None


@pytest.mark.parametrize("replica", [0, 1])
def test_add_while_a_copy_hangs(make_cache, fleet, replica):
    """A node that hangs leaves add() enough time to decide without it, the first time too, in both worlds."""
    local = fleet(3)
    cache = make_cache(local.addresses, timeout=2.0, replicas=2, freshness=3600)
    cache.set("planted", True)
    frozen = local.nodes[0]
    mine = [key for key in (f"key{n}" for n in range(100)) if copies(cache, key)[replica] == frozen.address]
    frozen.freeze()
    assert cache.add(mine[0], "sync") and cache.get(mine[0]) == "sync"
    assert asyncio.run(cache.aadd(mine[1], "async")) and cache.get(mine[1]) == "async"


def test_a_cancelled_loader_gives_its_lease_back(run, make_cache, node):
    """Whoever comes after a cancelled loader neither waits nor finds anything."""
    cache = make_cache([node.address])

    async def main():
        begun = asyncio.Event()

        async def load():
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(cache.aget_or_set("key", load))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.aadd("key", "next")
        assert await cache.aget("key") == "next"

    run(main())
