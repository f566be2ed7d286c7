"""Caches on each engine, for threads and for event loops."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet

ENGINES = ["memcached", "redis"]
_serials = count()


class InLoop:
    """A cache whose methods are those for event loops, by their names for threads."""

    def __init__(self, cache: DistributedCache):
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self._cache, f"a{name}")

        def call(*arguments: Any, **named: Any) -> Any:
            made = twin(*arguments, **named)
            return asyncio.run(made if asyncio.iscoroutine(made) else _all(made))

        return call


async def _all(made: Any) -> list[Any]:
    return [one async for one in made]


@pytest.fixture(scope="module", params=ENGINES)
def nodes(request: pytest.FixtureRequest) -> Iterator[LocalFleet]:
    """Three nodes of an engine."""
    with LocalFleet(3, request.param) as fleet:
        yield fleet


@pytest.fixture
def cache_of(nodes: LocalFleet) -> Iterator[Callable[..., DistributedCache]]:
    """Makes caches on a fleet of their own: `cache_of(2, key_function)`."""
    with ExitStack() as closing:

        def make(replicas: int = 1, key_function: str | None = None, **options: Any) -> DistributedCache:
            # A busy machine may ask for the state late: what has no proof then is a miss, and a lock that is lost.
            options = {"timeout": 10.0, "freshness": 60.0, "replicas": replicas, "fleet": f"f{replicas}", **options}
            # A prefix of its own: what other tests left is no concern of this one.
            params = {"KEY_PREFIX": f"t{next(_serials)}", "OPTIONS": options, "KEY_FUNCTION": key_function}
            cache = DistributedCache(nodes.addresses, params)
            closing.callback(cache.fleet.close)
            return cache

        yield make


@pytest.fixture(params=["threads", "loop"])
def on_road(request: pytest.FixtureRequest) -> Callable[[DistributedCache], Any]:
    """Has the methods for threads called, or those for event loops."""
    return InLoop if request.param == "loop" else lambda cache: cache
