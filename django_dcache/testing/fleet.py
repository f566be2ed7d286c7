"""A fleet of real servers on loopback."""

from typing import Any

from .ignite_node import LocalIgnite
from .memory_node import LocalMemory
from .node import LocalNode
from .redis_node import LocalRedis, LocalValkey

ENGINES: dict[str, type[Any]] = {
    "memcached": LocalNode,
    "redis": LocalRedis,
    "valkey": LocalValkey,
    "ignite": LocalIgnite,
    "memory": LocalMemory,
}


class LocalFleet:
    """`count` nodes of an engine, started together.

        with LocalFleet(3, memory=64) as fleet:
            fleet.addresses             # ["127.0.0.1:40001", ...]
            fleet.add().kill()

    The options are LocalNode's, or LocalRedis'.
    """

    def __init__(self, count: int = 3, engine: str = "memcached", **options: Any):
        self._kind, self._options = ENGINES[engine], options
        self.nodes: list[Any] = [self._kind(**options) for _ in range(count)]

    def __enter__(self) -> "LocalFleet":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    def start(self) -> "LocalFleet":
        """Starts every node and returns when all answer; if one can't, none is left running."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.await_ready()
        except BaseException:
            self.close()
            raise
        return self

    def add(self, **options: Any) -> Any:
        """One more node, started; options given here win over the fleet's."""
        node = self._kind(**{**self._options, **options})
        self.nodes.append(node)
        return node.start()

    def close(self) -> None:
        """Kills every node and gives up its address."""
        for node in self.nodes:
            node.close()
