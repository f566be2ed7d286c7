"""Event loops, asyncio's own and uvloop's, and caches on the test's node."""

import asyncio

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet
from support.mixed_operations import Site


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """`asyncio.run` on either kind of loop."""
    new_event_loop = pytest.importorskip(request.param).new_event_loop

    def run(coroutine):
        with asyncio.Runner(loop_factory=new_event_loop) as loop:
            return loop.run(coroutine)

    return run


@pytest.fixture
def make_cache():
    """A cache on these addresses; generous with time, so that no busy machine fails a test, unless told otherwise."""
    return lambda addresses, **options: DistributedCache(addresses, {"OPTIONS": {"timeout": 20.0} | options})


@pytest.fixture(params=[1, 2], ids=["one replica", "two replicas"])
def site(request):
    """A site of three nodes."""
    with LocalFleet(3) as fleet:
        site = Site(fleet.nodes, replicas=request.param)
        yield site
        site.cache.fleet.close()
