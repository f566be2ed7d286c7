"""The contract on event loops: the same tests, with every call of the cache awaited."""

import asyncio
import inspect
from pathlib import Path

import pytest

from django_dcache.backend import DistributedCache
from support.async_twins import METHODS, contract_twins

globals().update(contract_twins(Path(__file__).parent, asyncio.new_event_loop, __name__))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_its_twin(name):
    """Each `a` method is our own, a coroutine function, and takes what its brother takes."""
    method, twin = getattr(DistributedCache, name), getattr(DistributedCache, f"a{name}")
    assert twin.__module__.startswith("django_dcache.")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(method)
