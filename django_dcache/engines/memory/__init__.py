"""Nodes that are dicts in this process: for the tests of a site, and of this package. `memory://name` names one.

Each process has its own, so nothing outside can look at them, and a fork takes a copy along.
"""

from ..interface import Engine
from . import protocol
from .store import connect

ENGINE = Engine("memory", protocol.encode, protocol.parser, protocol.Greeting, None, numbered=True, connect=connect)
