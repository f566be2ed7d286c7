"""Microseconds of one task's call, and of many tasks' calls at once."""

import asyncio
import gc
import importlib
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from .backends import PEERS, ours
from .operations import SMALL
from .scenarios import Terms
from .servers import running
from .table import Table

TASKS = 200
MANY = {f"item:{number}": SMALL for number in range(100)}
SAMPLE_SECONDS = 0.02

Call = Callable[[], Awaitable[Any]]


def calls(cache: Any) -> dict[str, Call]:
    """What is measured, by the name of its column."""
    return {
        "aget": lambda: cache.aget("hit"),
        "aget_many 100": lambda: cache.aget_many(list(MANY)),
        f"{TASKS} × aget at once": lambda: asyncio.gather(*[cache.aget("hit") for _ in range(TASKS)]),
        "aset": lambda: cache.aset("hit", SMALL, 300),
        "aset_many 100": lambda: cache.aset_many(MANY, 300),
        f"{TASKS} × aset at once": lambda: asyncio.gather(*[cache.aset("hit", SMALL, 300) for _ in range(TASKS)]),
    }


def asynchronous(terms: Terms) -> Iterator[Table]:
    """aget, aset and their many forms, in one task and in 200, on asyncio and uvloop."""
    backends = [backend for backend in terms.present([*PEERS, ours()]) if not backend.name.startswith("django-valkey")]
    for loop in ("asyncio", "uvloop"):
        try:
            factory = importlib.import_module(loop).new_event_loop
        except ImportError:
            continue
        with running(3) as servers, asyncio.Runner(loop_factory=factory) as runner:
            caches = {backend.name: backend.make(servers) for backend in backends}
            yield Table(f"{loop}, three nodes: µs per call", runner.run(_compare(caches, terms.samples)))


async def _compare(caches: Mapping[str, Any], samples: int) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {name: {} for name in caches}
    ready: dict[str, dict[str, Call]] = {}
    for name, cache in caches.items():
        await cache.aset("hit", SMALL, 300)
        await cache.aset_many(MANY, 300)
        if await cache.aget("hit") != SMALL or await cache.aget_many(list(MANY)) != MANY:
            raise SystemExit(f"{name} does not find what it stored")
        ready[name] = calls(cache)
    gc.collect()
    gc.disable()
    for column in calls(None):
        counts: dict[str, int] = {}
        for name in ready:
            try:
                counts[name] = max(1, round(SAMPLE_SECONDS / (await _sample(ready[name][column], 2) / 1e6)))
            except Exception as error:  # django-cachex has no more connections than its pool, and no queue for them.
                print(f"{name}: {column} raised {type(error).__name__}: {error}", file=sys.stderr)
        for _ in range(samples):
            for name, count in counts.items():
                best = rows[name].get(column, float("inf"))
                rows[name][column] = min(best, await _sample(ready[name][column], count))
            gc.collect(0)
    gc.enable()
    return rows


async def _sample(call: Call, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        await call()
    return (time.perf_counter() - began) / count * 1e6
