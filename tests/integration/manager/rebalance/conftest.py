"""A fleet to resize."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from django_dcache.testing import LocalFleet, ManualClock
from support.conductors import connected
from support.resize_stage import OPTIONS, Stage


@pytest.fixture
def stage() -> Iterator[Callable[..., Stage]]:
    """Sets a stage: `stage(3, replicas=2)`; the options are those of the nodes, or of the cache alias."""
    with ExitStack() as stack:

        def make(count: int = 3, extra: tuple[str, ...] = (), **options: Any) -> Stage:
            nodes, clock = stack.enter_context(LocalFleet(count, extra=extra)), ManualClock()
            ours, theirs = (
                stack.enter_context(connected(nodes.addresses, {**OPTIONS, **options}, clock)) for _ in range(2)
            )
            made = Stage(nodes, ours, theirs, clock)
            made.store(1)
            return made

        yield make
