"""The cache on event loops: many tasks at once, tasks that are cancelled, loops that come and go."""

import asyncio
import contextvars
import gc
import os
import random
import shutil
import ssl
import subprocess
import threading
import time

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync

from django_dcache.backend import DistributedCache
from django_dcache.runtime import aio_loop as runner
from django_dcache.runtime import deadline
from django_dcache.testing import LocalNode, ScriptedNode, dial
from support.waiting import turn

uvloop = pytest.importorskip("uvloop")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """`asyncio.run` on either kind of loop."""

    def run(coroutine):
        with asyncio.Runner(loop_factory=request.param) as loop:
            return loop.run(coroutine)

    return run


@pytest.fixture
def make_cache():
    """A cache on these addresses; generous with time, so that no busy machine fails a test, unless told otherwise."""
    return lambda addresses, **options: DistributedCache(addresses, {"OPTIONS": {"timeout": 20.0} | options})


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


def copies(cache, key):
    """The nodes that hold `key`, the first first."""
    return cache.fleet.view.place(cache.make_key(key).encode()).route.read


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


class TlsNode(LocalNode):
    """It is ready when it shakes hands."""

    def await_ready(self, deadline=10.0):
        until = time.monotonic() + deadline
        context = ssl._create_unverified_context()
        while True:
            try:
                with dial(self.address) as stream, context.wrap_socket(stream):
                    return
            except OSError:
                if not self.running or time.monotonic() > until:
                    raise


@pytest.fixture
def tls_node(tmp_path):
    """A node that speaks TLS, and the certificate to trust."""
    memcached = os.environ.get("DCACHE_MEMCACHED", "memcached")
    if b"--enable-ssl" not in subprocess.check_output([memcached, "-h"]) or not shutil.which("openssl"):
        pytest.skip("this memcached has no TLS, or there is no openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    ask = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=n",
    ]
    ask += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(ask, check=True, capture_output=True)
    with TlsNode(extra=["-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}"]) as node:
        yield node, str(certificate)


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
