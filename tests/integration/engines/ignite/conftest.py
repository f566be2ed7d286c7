"""Ignite for the tests that need it: a server takes seconds to start, so those of all files share one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalIgnite
from support.ignite import needs_ignite


@pytest.fixture(scope="package")
def server() -> Iterator[LocalIgnite]:
    """One running node."""
    needs_ignite()
    with LocalIgnite() as node:
        yield node


@pytest.fixture
def ignite(server: LocalIgnite) -> LocalIgnite:
    """The same with nothing in it."""
    server.clear()
    return server


@pytest.fixture
def cache_of() -> Iterator[Callable[..., DistributedCache]]:
    """Makes caches on a node, or an address: `cache_of(ignite, replicas=2)`."""
    with ExitStack() as closing:

        def make(node: LocalIgnite | str, **options: Any) -> DistributedCache:
            options = {"timeout": 10.0, "connect_timeout": 10.0, "fleet": "ignite", **options}
            cache = DistributedCache([node if isinstance(node, str) else node.address], {"OPTIONS": options})
            closing.callback(cache.fleet.close)
            return cache

        yield make
