"""Redis for the tests that need it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet, LocalRedis


@pytest.fixture
def redis() -> Iterator[LocalRedis]:
    """One running node."""
    with LocalRedis() as node:
        yield node


@pytest.fixture
def cache_of() -> Iterator[Callable[..., DistributedCache]]:
    """Makes caches on nodes: `cache_of(fleet, replicas=2)`."""
    with ExitStack() as closing:

        def make(fleet: LocalFleet | LocalRedis, **options: Any) -> DistributedCache:
            location = fleet.addresses if isinstance(fleet, LocalFleet) else [fleet.address]
            cache = DistributedCache(location, {"OPTIONS": {"timeout": 5.0, "fleet": "redis", **options}})
            closing.callback(cache.fleet.close)
            return cache

        yield make
