"""The cache on event loops: many tasks at once, loaders, proofs, nodes that hang or restart, a request's budget."""

import asyncio
import contextvars
import gc

import pytest
from asgiref.sync import ThreadSensitiveContext

from django_dcache.runtime import deadline
from django_dcache.testing import ScriptedNode
from support.waiting import turn

uvloop = pytest.importorskip("uvloop")


@pytest.mark.parametrize("replicas", [1, 2])
def test_concurrent_counting_is_exact(run, make_cache, fleet, replicas):
    """A thousand tasks that count at once leave a thousand, each with a number of its own, and the counter its end."""
    local = fleet(3)
    cache = make_cache(local.addresses, replicas=replicas)

    async def main():
        await cache.aset("counter", 0, 1000)
        return await asyncio.gather(*[cache.aincr("counter") for _ in range(1000)])

    assert sorted(run(main())) == list(range(1, 1001))
    assert cache.get("counter") == 1000
    copies = [node.ask(b"mg :1:counter t v\r\n").split() for node in local.nodes]
    ends = [int(copy[2][1:]) for copy in copies if copy[0] == b"VA"]
    # Tasks that count at the same time may have deleted the second copy.
    assert 1 <= len(ends) <= replicas and all(900 < end <= 1000 for end in ends)


def test_an_error_harms_only_its_own(run, make_cache, node):
    """A value the node refuses costs the tasks that share its connection nothing."""
    cache = make_cache([node.address], chunk_bytes=0)

    async def main():
        await cache.aset_many({f"key{n}": n for n in range(100)})
        results = await asyncio.gather(
            *[cache.aget(f"key{n}") for n in range(50)],
            cache.aset("large", b"x" * 2_000_000),
            *[cache.aget(f"key{n}") for n in range(50, 100)],
            cache.aincr("key7"),
        )
        assert results == [*range(50), False, *range(50, 100), 8]
        assert await cache.aget("large") is None

    run(main())
    assert cache.fleet.counters["failures"] == 0


def test_a_node_that_hung_is_trusted_again(run, make_cache, node):
    """What a node did not answer in time is a miss; once it answers again, everybody gets his own value."""
    cache = make_cache([node.address], timeout=0.2, freshness=3600)

    async def main():
        await cache.aset_many({"a": "a", "b": "b"})
        node.freeze()
        assert await asyncio.gather(cache.aget("a"), cache.aget("b")) == [None, None]
        node.thaw()
        assert await asyncio.gather(cache.aget("b"), cache.aget("a")) == ["b", "a"]

    run(main())


def test_a_node_that_restarts_is_reconnected(run, make_cache, node):
    """A connection that the node closed while it was idle is replaced, and neither a read nor a write notices."""
    cache = make_cache([node.address])

    async def main():
        await cache.aset("key", 1)
        node.restart()
        assert await cache.aget("key") is None
        node.restart()
        assert await cache.aset("key", 2)
        assert await cache.aget("key") == 2

    run(main())


def test_many_tasks_need_one_proof(run, make_cache):
    """Tasks that start together wait for one proof of the fleet's state, asked for by one of them."""
    states = []

    def answer(command, connection):
        opaque = next(word for word in command.split(b"\r\n")[0].split(b" ") if word.startswith(b"O"))
        if b":state" in command:
            states.append(command)
            return b"EN " + opaque + b"\r\n" if command.startswith(b"mg") else b"HD " + opaque + b"\r\n"
        return b"EN " + opaque + b"\r\n"

    with ScriptedNode(answer) as scripted:
        cache = make_cache([scripted.address], freshness=3600)

        async def main():
            return await asyncio.gather(*[cache.aget(f"key{n}") for n in range(200)])

        assert run(main()) == [None] * 200
        assert len([command for command in states if command.startswith(b"ms")]) == 1
        assert len(states) <= 3


def test_a_request_leaves_nothing_of_itself(run, make_cache, node):
    """The connection that a task was the first to use does not keep that task's context alive."""
    cache = make_cache([node.address])
    request = contextvars.ContextVar("request")

    class Request:
        alive = 0

        def __init__(self):
            Request.alive += 1

        def __del__(self):
            Request.alive -= 1

    async def handle():
        request.set(Request())
        await cache.aset("key", 1)

    async def main():
        await asyncio.create_task(handle())
        gc.collect()
        assert await cache.aget("key") == 1
        return Request.alive

    assert run(main()) == 0


def test_a_loader_may_be_a_coroutine_function(run, make_cache, node):
    """aget_or_set() awaits what an asynchronous default returns, in the caller's context, once for many callers."""
    cache = make_cache([node.address], timeout=0.5)
    who = contextvars.ContextVar("who")
    loads = []

    async def load():
        loads.append(who.get())
        await turn()
        return "made"

    async def ask(name):
        who.set(name)
        return await cache.aget_or_set("key", load)

    async def main():
        assert await asyncio.gather(*[ask(n) for n in range(10)]) == ["made"] * 10
        assert await cache.aget_or_set("key", load) == "made"

    run(main())
    assert loads == [0]


def test_the_budget_of_an_asgi_request(make_cache, node):
    """An ASGI request pays for waiting, one by one for calls that follow one another and once for calls at once."""
    cache = make_cache([node.address], timeout=0.2, freshness=3600)

    async def request(calls):
        async with ThreadSensitiveContext():
            await calls()
            return deadline.account().spent

    async def one_by_one():
        await cache.aget("key")
        await cache.aget("key")

    async def at_once():
        await asyncio.gather(*[cache.aget(f"key{n}") for n in range(20)])

    async def main():
        await cache.aset("key", 1)
        node.freeze()
        assert 0.3 <= await request(one_by_one)  # The second one waits for a greeting, for half of its time.
        assert 0.1 <= await request(at_once) < 20 * 0.1
        assert await request(cache.aclose) == 0

    asyncio.run(main())
    assert deadline.account() is None
