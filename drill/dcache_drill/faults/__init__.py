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
NOT_OF_IGNITE = ("restarts", "maxconns")
"""It takes seconds to start, and connections until it has no memory left for them, and halts."""
HARMLESS = tuple(_faults(networks, processes))
"""Those that break only what is the drill's own: its networks and its processes."""


def faults_of(engine: str) -> tuple[str, ...]:
    """All that a drill injects on nodes of its own, unless some are named (`--faults`)."""
    usual = [name for name in _USUAL if engine != "ignite" or name not in NOT_OF_IGNITE]
    return (*usual, *(_OF_REDIS if engine in ("redis", "valkey") else ()))
