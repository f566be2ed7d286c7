"""Caches whose methods are measured, for the time of a test."""

from collections.abc import Iterator
from contextlib import contextmanager

from django_dcache.backend import DistributedCache
from django_dcache.methods import NearMethods


@contextmanager
def methods_restored() -> Iterator[None]:
    """What replaces methods of DistributedCache inside the block is undone after it."""
    before = {cache: dict(vars(cache)) for cache in (DistributedCache, NearMethods)}
    try:
        yield
    finally:
        for cache, methods in before.items():
            for name in set(vars(cache)) - set(methods):
                delattr(cache, name)
            for name, value in methods.items():
                if callable(value) and vars(cache).get(name) is not value:
                    setattr(cache, name, value)
