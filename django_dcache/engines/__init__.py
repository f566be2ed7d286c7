"""One package an engine: all that knows its bytes, its limits and its statistics. A node's address names its engine."""

from ..errors import ConfigurationError
from ..model.addresses import parse
from ..model.topology import Node
from . import ignite, memcached, memory, redis
from .inspection import Introspection
from .interface import Engine, Greeting, Parser, Question

_engines = {engine.name: engine for engine in (memcached.ENGINE, redis.ENGINE, memory.ENGINE)}


def engine_of(node: Node) -> Engine:
    """The engine that a node's address names."""
    if node.engine == "ignite":
        return ignite.engine(parse(node.address).cache)
    return _engines[node.engine]


def introspection_of(node: Node) -> Introspection:
    """What the manager asks of the engine of a node. Raises ConfigurationError where nothing can be asked."""
    engine = engine_of(node)
    if engine.introspection is None:
        raise ConfigurationError(f"{node.address} lies in the memory of one process: nothing outside can look at it")
    return engine.introspection


__all__ = ["Engine", "Greeting", "Parser", "Question", "engine_of", "introspection_of"]
