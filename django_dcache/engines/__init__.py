"""One package an engine: all that knows its bytes, its limits and its statistics. A node's address names its engine."""

from ..model.topology import Node
from . import memcached
from .interface import Engine, Parser, Question

hot = memcached.hot
"""The bytes of the short cut, which is for this engine only."""


def engine_of(node: Node) -> Engine:
    """The engine that a node's address names."""
    return memcached.ENGINE


__all__ = ["Engine", "Parser", "Question", "engine_of", "hot"]
