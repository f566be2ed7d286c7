"""The list of faults by name."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random

from ..arena import Arena

Breaks = Callable[[Arena, Random], Iterator[str]]
"""Breaks something, yields a word on what, and mends it."""

FAULTS: dict[str, Callable[[Arena, Random], AbstractContextManager[str]]] = {}


def fault(function: Breaks) -> Breaks:
    """Registers a fault under the function's name."""
    FAULTS[function.__name__.replace("_", "-")] = contextmanager(function)
    return function
