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
"""By name, for `--faults`."""
BY_NAME_ONLY = ("cut-off",)
"""Faults after which values are missing as they must not: injected only when they are named, as yet."""
DEFAULT = tuple(name for name in FAULTS if name not in BY_NAME_ONLY)
HARMLESS = tuple(name for name in _faults(networks, processes) if name in DEFAULT)
"""Those that break only what is the drill's own: its networks and its processes."""
