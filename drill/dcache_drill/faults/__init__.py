"""Everything that can be broken: each generator function breaks something, yields a word on what, and mends it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from inspect import isgeneratorfunction
from random import Random
from types import ModuleType

from ..testbed import Testbed
from . import networks, nodes, processes, redis_nodes, resizes

Fault = Callable[[Testbed, Random], AbstractContextManager[str]]


def _faults(*modules: ModuleType) -> dict[str, Fault]:
    return {
        name.replace("_", "-"): contextmanager(function)
        for module in modules
        for name, function in vars(module).items()
        if isgeneratorfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


_USUAL, _OF_REDIS = _faults(networks, nodes, processes, resizes), _faults(redis_nodes)
FAULTS = _USUAL | _OF_REDIS
HARMLESS = tuple(_faults(networks, processes))
"""Those that break only what is the drill's own: its networks and its processes."""


def faults_of(engine: str) -> tuple[str, ...]:
    """All that a drill injects on nodes of its own, unless some are named (`--faults`)."""
    return (*_USUAL, *(() if engine == "memcached" else _OF_REDIS))
