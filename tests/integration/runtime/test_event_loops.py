"""Event loops and what they share: connections of one process, threads, forks, unix sockets, TLS."""

import asyncio
import os
import ssl
import threading

import pytest
from asgiref.sync import async_to_sync

from django_dcache.runtime import aio_loop as runner
from django_dcache.testing import LocalNode
from support.certificates import Authority
from support.waiting import turn

uvloop = pytest.importorskip("uvloop")


def test_loops_share_the_connections_of_the_process(run, make_cache, fleet):
    """Event loops that follow one another, and the sync side between them, go on with the same connections."""
    local = fleet(3)
    cache = make_cache(local.addresses)

    async def main(number):
        await cache.aset_many({f"key{n}": number for n in range(30)})
        return await cache.aget_many([f"key{n}" for n in range(30)])

    for number in range(20):
        assert run(main(number)) == {f"key{n}": number for n in range(30)}
        assert cache.get("key7") == number
    assert [pool.opened for pool in cache.fleet.transport.pools().values()] == [1, 1, 1]
    assert not runner._runners


def test_loops_that_end_without_a_word(make_cache, fleet):
    """Connections of a loop that was closed and never shut down are closed when the next loop comes."""
    cache = make_cache(fleet(1).addresses)
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(cache.aset("key", 1))
        assert len(runner._runners) == 1
        loop.close()
    asyncio.run(cache.aget("key"))
    assert not runner._runners


def test_many_tasks_open_one_connection(run, make_cache, node):
    """A thousand tasks that start together, each with a backend object of its own, share one connection."""

    async def request(number):
        cache = make_cache([node.address])
        await cache.aset(f"key{number}", number)
        await cache.aclose()
        return await cache.aget(f"key{number}")

    async def main():
        return await asyncio.gather(*[request(number) for number in range(1000)])

    before = int(node.stats()["total_connections"])
    assert run(main()) == list(range(1000))
    assert int(node.stats()["total_connections"]) - before - 1 == 1


def test_async_to_sync_from_threads(make_cache, fleet):
    """Threads that each make short-lived loops get their own values and leave nothing behind."""
    cache = make_cache(fleet(3).addresses)
    wrong = []

    async def work(number):
        await cache.aset(f"key{number}", number)
        await asyncio.gather(*[cache.aset(f"key{number}.{n}", (number, n)) for n in range(10)])
        found = await cache.aget_many([f"key{number}.{n}" for n in range(10)])
        return await cache.aget(f"key{number}") == number and found == {
            f"key{number}.{n}": (number, n) for n in range(10)
        }

    def thread(number):
        for _ in range(10):
            if not async_to_sync(work)(number):
                wrong.append(number)

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
    assert not runner._runners
    assert all(pool.opened <= 2 * len(threads) for pool in cache.fleet.transport.pools().values())


def test_sync_methods_on_a_running_loop(run, make_cache, fleet):
    """Sync and async methods may be mixed in one task."""
    cache = make_cache(fleet(3).addresses)

    async def main():
        cache.set("key", 1)
        assert await cache.aincr("key") == 2
        assert cache.incr("key") == 3
        task = asyncio.create_task(cache.aset("key", 10))
        await turn()
        cache.get_many(["key", "other"])
        await task
        assert cache.get("key") == await cache.aget("key") == 10

    run(main())


def test_a_forked_child_leaves_the_loop_alone(make_cache, node):
    """A child forked from a running loop uses connections of its own, and the parent's go on."""
    cache = make_cache([node.address])

    async def main():
        await cache.aset("key", "parent")
        child = os.fork()
        if not child:
            found = []
            thread = threading.Thread(target=lambda: found.append(asyncio.run(cache.aget("key"))))
            thread.start()
            thread.join()
            os._exit(0 if found == ["parent"] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return await asyncio.gather(*[cache.aget("key") for _ in range(10)])

    assert asyncio.run(main()) == ["parent"] * 10


def test_a_unix_socket(run, make_cache):
    """A node on a unix socket is a node."""
    with LocalNode(unix=True) as node:
        cache = make_cache([node.address])

        async def main():
            await cache.aset_many({f"key{n}": "x" * 100_000 for n in range(20)})
            return len(await cache.aget_many([f"key{n}" for n in range(20)]))

        assert run(main()) == 20


@pytest.fixture
def tls_node(tmp_path):
    """A node that speaks TLS, and the certificate to trust."""
    authority = Authority(tmp_path)
    with authority.node(*authority.sign("node")) as node:
        yield node, authority.certificate


def test_tls(run, make_cache, tls_node):
    """Long pipelines in both directions go through TLS, and the certificate is checked."""
    node, certificate = tls_node
    cache = make_cache([node.address], tls=ssl.create_default_context(cafile=certificate))
    stranger = make_cache([node.address], tls=ssl.create_default_context(), fleet="stranger")

    async def main():
        values = {f"key{n}": os.urandom(50_000) for n in range(50)}
        assert await cache.aset_many(values) == []
        assert await cache.aget_many(values) == values
        assert await asyncio.gather(*[cache.aget(key) for key in values]) == list(values.values())
        assert await stranger.aget("key1") is None
        assert not await stranger.aset("key1", 1)

    run(main())
    run(main())
