"""Caches whose methods are measured, for the time of a test."""

from collections.abc import Iterator
from contextlib import contextmanager

from django_dcache.backend import DistributedCache


@contextmanager
def methods_restored() -> Iterator[None]:
    """What replaces methods of DistributedCache inside the block is undone after it."""
    before = dict(vars(DistributedCache))
    try:
        yield
    finally:
        for name, value in before.items():
            if callable(value) and vars(DistributedCache).get(name) is not value:
                setattr(DistributedCache, name, value)
