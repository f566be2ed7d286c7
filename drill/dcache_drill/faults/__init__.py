"""Everything that can be broken: each generator function breaks something, yields a word on what, and mends it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from inspect import isgeneratorfunction
from random import Random
from types import ModuleType

from ..testbed import Testbed
from . import networks, nodes, processes, resizes

Fault = Callable[[Testbed, Random], AbstractContextManager[str]]


def _faults(*modules: ModuleType) -> dict[str, Fault]:
    return {
        name.replace("_", "-"): contextmanager(function)
        for module in modules
        for name, function in vars(module).items()
        if isgeneratorfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


FAULTS = _faults(networks, nodes, processes, resizes)
"""All that a drill injects, unless some are named (`--faults`)."""
HARMLESS = tuple(_faults(networks, processes))
"""Those that break only what is the drill's own: its networks and its processes."""
