"""The contract on event loops: the same tests, with every call of the cache awaited."""

import asyncio
import inspect

import pytest

from conformance import test_contract
from conformance.twins import METHODS, twins
from django_dcache.backend import DistributedCache

globals().update(twins(test_contract, asyncio.new_event_loop))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_its_twin(name):
    """Each `a` method is our own, a coroutine function, and takes what its brother takes."""
    method, twin = vars(DistributedCache)[name], vars(DistributedCache)[f"a{name}"]
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(method)
