"""Stale while revalidating: one caller loads anew what has passed its timeout, the others get the old value at once."""

import asyncio
import itertools
import threading

import pytest

from django_dcache import invalidation
from django_dcache.backend import DistributedCache
from django_dcache.invalidation import delete, of_keys, of_tags
from django_dcache.testing import LocalFleet
from support.waiting import until

numbers = itertools.count()
TIMEOUT = 0.2


@pytest.fixture(scope="module")
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet


@pytest.fixture(params=["one copy", "two copies", "near"])
def cache(nodes, request, monkeypatch):
    """The process of a test, with keys that no other test has."""
    options = {"fleet": request.param.replace(" ", "-"), "replicas": 2 if request.param == "two copies" else 1}
    near = {"near": {"bytes": 10_000_000}} if request.param == "near" else {}
    params = {"KEY_PREFIX": f"test{next(numbers)}", "OPTIONS": {**options, **near, "timeout": 5.0}}
    cache = DistributedCache(list(nodes.addresses), params)
    monkeypatch.setattr(invalidation, "find_cache", lambda alias: cache)
    return cache


@pytest.fixture
def stale(cache):
    """`k` is stale, and lives for long."""
    assert cache.get_or_set("k", lambda: "old", TIMEOUT, stale=60, tags=["t"]) == "old"
    assert until(lambda: cache.get("k") is None)


def load_with(cache, loader, callers=1):
    """What each of so many callers gets who begin at once."""
    barrier, results = threading.Barrier(callers), []

    def visit():
        barrier.wait()
        results.append(cache.get_or_set("k", loader, 60, stale=60, tags=["t"]))

    threads = [threading.Thread(target=visit) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_get_returns_nothing_stale(cache, stale):
    """For `get`, and for `get_or_set` without `stale`, a value ends with its timeout."""
    assert not cache.has_key("k") and cache.get_many(["k"]) == {}
    assert cache.get_or_set("k", lambda: "new", 60) == "new"


def test_one_of_200_threads_loads(cache, stale):
    """Of 200 threads one loads; the others get the old value without waiting for it."""
    loads, go_on, answered = [], threading.Event(), []

    def loader():
        loads.append(1)
        go_on.wait(30)
        return "new"

    def watch():
        until(lambda: len(answered) == 199, seconds=30)
        go_on.set()

    def visit():
        value = cache.get_or_set("k", loader, 60, stale=60, tags=["t"])
        if value == "old":
            answered.append(1)

    threads = [threading.Thread(target=visit) for _ in range(200)] + [threading.Thread(target=watch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len(answered) == 199
    assert cache.get("k") == "new"


def test_twenty_callers_with_nothing_stale(cache):
    """Where there is no old value, one of 20 callers loads for half a second, and the others wait for it."""
    loads = []

    def loader():
        loads.append(1)
        threading.Event().wait(0.5)
        return "new"

    assert load_with(cache, loader, 20) == ["new"] * 20 and len(loads) == 1


@pytest.mark.parametrize("order", [lambda: of_keys("default", ["k"]), lambda: of_tags("default", ["t"])])
def test_nothing_that_was_invalidated_is_served(cache, stale, order):
    """After an invalidation no caller gets the old value, not even while another one loads anew, nor is what that one
    has loaded from before it stored."""
    inside, go_on, begun = threading.Event(), threading.Event(), []

    def slow():
        inside.set()
        go_on.wait(30)
        return "loaded before"

    renewing = threading.Thread(target=lambda: begun.extend(load_with(cache, slow)))
    renewing.start()
    assert inside.wait(30) and load_with(cache, lambda: "not called") == ["old"]
    assert not delete(order())
    assert load_with(cache, lambda: "new") == ["new"]
    go_on.set()
    renewing.join()
    assert begun == ["loaded before"] and cache.get("k") == "new"


def test_a_loader_that_fails(cache, stale, caplog):
    """A loader that fails leaves the old value to all callers, and is logged; the next caller tries again."""
    assert load_with(cache, lambda: 1 / 0) == ["old"] and "could not be loaded anew" in caplog.text
    assert load_with(cache, lambda: "new") == ["new"] and cache.get("k") == "new"


def test_on_an_event_loop(cache, stale):
    """Of many tasks one loads."""
    loads = []

    async def loader():
        loads.append(1)
        await asyncio.to_thread(threading.Event().wait, 0.2)
        return "new"

    async def visit():
        return await asyncio.gather(*(cache.aget_or_set("k", loader, 60, stale=60, tags=["t"]) for _ in range(50)))

    results = asyncio.run(visit())
    assert len(loads) == 1 and results.count("new") == 1 and results.count("old") == 49
    assert cache.get("k") == "new"


def test_what_is_made_of_tagged_values_has_their_tags(cache):
    """A value that is loaded with tagged values is invalidated with them."""

    def page():
        return cache.get_or_set("part", lambda: "part", tags=["inner"]) + "!"

    assert cache.get_or_set("page", page, tags=["outer"]) == "part!" == cache.get("page")
    assert not delete(of_tags("default", ["inner"]))
    assert cache.get("page") is None


def test_it_ends(cache):
    """A stale value ends with its time."""
    cache.get_or_set("k", lambda: "old", 1, stale=1)

    def ended():
        try:
            return cache.get_or_set("k", lambda: 1 / 0, 1, stale=1) != "old"
        except ZeroDivisionError:
            return True

    assert not ended() and until(ended, seconds=10)
