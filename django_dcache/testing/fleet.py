"""A fleet of real memcached processes on loopback."""

from typing import Any

from .node import LocalNode


class LocalFleet:
    """`count` nodes, started together.

        with LocalFleet(3, memory=64) as fleet:
            fleet.addresses             # ["127.0.0.1:40001", ...]
            fleet.add().kill()

    The options are LocalNode's.
    """

    def __init__(self, count: int = 3, **options: Any):
        self._options = options
        self.nodes = [LocalNode(**options) for _ in range(count)]

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

    def add(self, **options: Any) -> LocalNode:
        """One more node, started; options given here win over the fleet's."""
        node = LocalNode(**{**self._options, **options})
        self.nodes.append(node)
        return node.start()

    def close(self) -> None:
        """Kills every node and gives up its address."""
        for node in self.nodes:
            node.close()
