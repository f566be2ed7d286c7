"""`get_or_set` by callers that ask for one key at the same moment, on real nodes."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_dcache.backend import DistributedCache

OPTIONS = {"timeout": 20.0, "connect_timeout": 20.0, "load_wait": 60.0, "request_budget": 60.0, "fleet": "load"}
PROCESSES, KEYS = 4, 30


@pytest.fixture(params=[1, 2], ids=["one replica", "two replicas"])
def processes(request, fleet):
    """One fleet as four processes see it."""
    nodes = fleet(3)
    options = [OPTIONS | {"replicas": request.param, "idle_connections": 20 + number} for number in range(PROCESSES)]
    caches = [DistributedCache(nodes.addresses, {"OPTIONS": one}) for one in options]
    yield caches
    for cache in caches:
        cache.fleet.close()


class Loader:
    """Counts how often it runs, and takes as long as it is told."""

    def __init__(self):
        self.runs, self.running, self.go_on = 0, threading.Event(), threading.Event()

    def __call__(self):
        self.runs += 1
        self.running.set()
        assert self.go_on.wait(60)
        return self.runs


def test_callers_of_several_processes(processes):
    """For each of many keys one caller loads, and what it loaded is stored and handed to the others."""
    loaders = {f"k{number}": Loader() for number in range(KEYS)}
    barrier = threading.Barrier(PROCESSES)

    def work(cache):
        found = []
        for key, loader in loaders.items():
            barrier.wait()
            loader.go_on.set()
            found.append(cache.get_or_set(key, loader, None))
        return found

    with ThreadPoolExecutor(PROCESSES) as pool:
        assert list(pool.map(work, processes)) == [[1] * KEYS] * PROCESSES
    assert {loader.runs for loader in loaders.values()} == {1}
    assert processes[0].get_many(loaders) == dict.fromkeys(loaders, 1)


def test_tasks_wait_for_a_thread(processes):
    """While a thread of one process loads, tasks of another wait, and get what it loaded."""
    loader, (one, other, *_) = Loader(), processes

    async def ask():
        tasks = [asyncio.create_task(other.aget_or_set("k", loader, None)) for _ in range(10)]
        await asyncio.wait(tasks, timeout=0.2)
        assert not any(task.done() for task in tasks)
        loader.go_on.set()
        return await asyncio.gather(*tasks)

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(one.get_or_set, "k", loader, None)
        assert loader.running.wait(60)
        assert asyncio.run(ask()) == [1] * 10 and loading.result() == 1
    assert loader.runs == 1


def test_a_newer_value_while_it_loads(processes):
    """What was set while a loader ran is not replaced by what it loaded."""
    loader, (one, other, *_) = Loader(), processes
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(one.get_or_set, "k", loader, None)
        assert loader.running.wait(60) and other.set("k", "newer", None)
        loader.go_on.set()
        assert loading.result() in (1, "newer")
    assert one.get("k") == other.get("k") == "newer"
