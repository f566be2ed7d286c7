"""How long a call may last, whatever its nodes do. Seconds are measured, less those for which this machine stood still.

A sample by default; DCACHE_TEST_SCALE=full: every method, in every state.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from math import inf
from time import monotonic
from typing import Any

import pytest
from django.core.signals import request_finished, request_started

from django_dcache.backend import DistributedCache
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy, LocalFleet, LocalNode
from support.bad_nodes import BAD
from support.method_cases import CASES, Case, Keys
from support.scale import FULL
from support.stopwatch import Stopwatch

TIMEOUT = 0.25
KEYS = Keys("present", "absent", ("a", "b"), ("c", "d"))
CALLS = 50
WHOLE_REQUEST = 1.6
"""Seconds for fifty calls of one request with a `request_budget` of one second."""
SLACK = 0.05
SILENT_NODES = 30
SAMPLE = ("get", "set", "get_many", "incr", "get_or_set, miss")
_serials = count()

pytestmark = pytest.mark.timing


def made(addresses: list[str], **options: Any) -> DistributedCache:
    """A process that knows nothing yet."""
    options = {"fleet": f"deadlines{next(_serials)}", "timeout": TIMEOUT, "freshness": 600} | options
    return DistributedCache(addresses, {"OPTIONS": options})


@contextmanager
def request() -> Iterator[None]:
    """A request of Django's."""
    request_started.send(None, environ={})
    try:
        yield
    finally:
        request_finished.send(None)


def called(cache: DistributedCache, case: Case) -> None:
    with suppress(ValueError):
        getattr(cache, case.method)(*case.arguments(KEYS))


async def acalled(cache: DistributedCache, case: Case) -> None:
    with suppress(ValueError):
        await getattr(cache, f"a{case.method}")(*case.arguments(KEYS))


def warmed(cache: DistributedCache) -> None:
    """Everything is known and connected."""
    cache.set_many(dict.fromkeys((KEYS.present, *KEYS.several), 7))
    for key in (KEYS.present, KEYS.absent):
        cache.get(key)


async def awarmed(cache: DistributedCache) -> None:
    """The same on an event loop."""
    await cache.aset_many(dict.fromkeys((KEYS.present, *KEYS.several), 7))
    for key in (KEYS.present, KEYS.absent):
        await cache.aget(key)


@pytest.fixture(scope="module")
def node() -> Iterator[LocalNode]:
    """One node for all of them; each is a fleet of its own on it."""
    with LocalNode() as node:
        yield node


@pytest.fixture
def cache(node: LocalNode, request: pytest.FixtureRequest) -> Iterator[tuple[DistributedCache, FaultProxy]]:
    """A cache on one node, and the network in between. What empties a node has one of its own: beside neighbours it
    waits until no process reads what was there."""
    with ExitStack() as stack:
        if request.node.callspec.params["case"].label == "clear":
            node = stack.enter_context(LocalNode())
        proxy = stack.enter_context(FaultProxy(node.address))
        cache = made([proxy.address])
        yield cache, proxy
        cache.fleet.close()


def chosen(case: Case) -> bool:
    return FULL or case.label in SAMPLE


CHOSEN = [case for case in CASES if chosen(case)]


@pytest.mark.parametrize("case", CHOSEN, ids=str)
def test_fifty_calls_of_a_request(cache, case):
    """Fifty calls to a node that answers 100 ms late cost a request its budget and a little more."""
    cache, proxy = cache
    warmed(cache)
    proxy.delay(0.1)
    with request(), Stopwatch() as watch:
        for _ in range(CALLS):
            called(cache, case)
    assert watch.own <= WHOLE_REQUEST, watch


@pytest.mark.parametrize("case", CHOSEN, ids=str)
def test_fifty_awaited_calls_of_a_request(cache, case):
    """The same on an event loop."""
    cache, proxy = cache

    async def main() -> Stopwatch:
        await awarmed(cache)
        proxy.delay(0.1)
        with request(), Stopwatch() as watch:
            for _ in range(CALLS):
                await acalled(cache, case)
        return watch

    watch = asyncio.run(main())
    assert watch.own <= WHOLE_REQUEST, watch


@pytest.mark.parametrize("stood_still", [0.0, 0.1], ids=["in time", "late"])
def test_many_silent_nodes(stood_still):
    """Nodes that fall silent together are waited for at the same time: one get_many, one timeout, and one more look
    at all of them if the process stood still when their time was up."""
    wakes_at = inf

    def clock() -> float:
        return monotonic() + (stood_still if monotonic() > wakes_at else 0.0)

    with LocalFleet(SILENT_NODES) as nodes:
        proxies = [FaultProxy(address).start() for address in nodes.addresses]
        cache = made([proxy.address for proxy in proxies])
        cache.fleet = Fleet(cache.fleet.configuration, clock)
        keys = [f"key{number}" for number in range(10 * SILENT_NODES)]
        cache.set_many(dict.fromkeys(keys, 1))
        assert len(cache.get_many(keys)) == len(keys)
        for proxy in proxies:
            proxy.hold("replies")
        wakes_at = monotonic() + 0.8 * TIMEOUT
        with Stopwatch() as watch:
            assert cache.get_many(keys) == {}
        cache.fleet.close()
        for proxy in proxies:
            proxy.stop()
    assert watch.own <= 1.2 * TIMEOUT, watch


@pytest.mark.parametrize("replicas", [3, 5])
def test_late_copies(replicas):
    """A miss whose copies all answer late, though each before the timeout, is over when the timeout is."""
    with LocalFleet(replicas) as nodes:
        proxies = [FaultProxy(address).start() for address in nodes.addresses]
        cache = made([proxy.address for proxy in proxies], replicas=replicas)
        warmed(cache)
        for proxy in proxies:
            proxy.delay(0.11)
        with Stopwatch() as watch:
            assert cache.get(KEYS.absent) is None
        cache.fleet.close()
        for proxy in proxies:
            proxy.stop()
    assert watch.own <= TIMEOUT + SLACK, watch


def bad_cells() -> Iterator[Any]:
    """Every state with every method, cold and warm, in a thread and on a loop; a sample has each state in each of the
    four ways once, with one method after the other."""
    turn = count()
    for state in BAD:
        for warm in (False, True):
            for loop in (False, True):
                cases = CASES if FULL else [CASES[next(turn) % len(CASES)]]
                for case in cases:
                    name = f"{state}, {case}, {'warm' if warm else 'cold'}, {'awaited' if loop else 'called'}"
                    yield pytest.param(state, case, warm, loop, id=name)


@pytest.mark.parametrize(("state", "case", "warm", "loop"), [*bad_cells()])
def test_a_bad_node(cache, state, case, warm, loop):
    """Whatever its only node does, each call lasts two timeouts at most, and raises nothing that a view must catch."""
    cache, proxy = cache
    watches: list[Stopwatch] = []

    async def main() -> None:
        if warm:
            await awarmed(cache)
        BAD[state](proxy)
        for _ in range(3):
            with Stopwatch() as watch:
                await acalled(cache, case)
            watches.append(watch)

    if loop:
        asyncio.run(main())
    else:
        if warm:
            warmed(cache)
        BAD[state](proxy)
        for _ in range(3):
            with Stopwatch() as watch:
                called(cache, case)
            watches.append(watch)
    assert max(watch.own for watch in watches) <= 2 * TIMEOUT + SLACK, watches
