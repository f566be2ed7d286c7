"""Real memcached for the tests that need it: every node on its own kernel-picked loopback port, gone after the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.core.management import call_command

from django_dcache.testing import FaultProxy, LocalFleet, LocalNode


@pytest.fixture
def node() -> Iterator[LocalNode]:
    """One running node."""
    with LocalNode() as node:
        yield node


@pytest.fixture(scope="module")
def nodes() -> Iterator[LocalFleet]:
    """Two nodes, for all tests of a file."""
    with LocalFleet(2) as fleet:
        yield fleet


@pytest.fixture
def fleet() -> Iterator[Callable[..., LocalFleet]]:
    """Starts fleets: `fleet(3, memory=64)`."""
    with ExitStack() as fleets:
        yield lambda count, **options: fleets.enter_context(LocalFleet(count, **options))


@pytest.fixture
def proxy(node: LocalNode) -> Iterator[FaultProxy]:
    """A network in front of `node`, faultless so far."""
    with FaultProxy(node.address, seed=7) as proxy:
        yield proxy


@pytest.fixture
def tables() -> Iterator[None]:
    """The manager's tables, empty, in the database of support/settings.py."""
    call_command("migrate", "dcache_manager", verbosity=0)
    yield
    call_command("migrate", "dcache_manager", "zero", verbosity=0)
