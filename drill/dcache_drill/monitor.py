"""When nodes were ill in fact: a thread greets each of them again and again, over networks of its own."""

import threading
import time
from collections.abc import Mapping

from django_dcache.conf import Configuration
from django_dcache.errors import NodeFailure
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

PAUSE_SECONDS = 0.05
SLOW_SECONDS = 0.05
"""An answer that takes longer says that the node, or this machine, had no time."""
PATIENCE_SECONDS = 1.0


class NodeMonitor(threading.Thread):
    """`ill`: (began, ended), monotonic, of each greeting that got no answer in time. `networks`: where each node is
    reached, by its address."""

    def __init__(self, configuration: Configuration, networks: Mapping[str, str]):
        super().__init__(daemon=True)
        self.ill: list[tuple[float, float]] = []
        seconds, logins = PATIENCE_SECONDS, configuration.logins
        self._limits = Limits(seconds, seconds, address_remap=networks.__getitem__, logins=logins)
        self._connections: dict[Node, Connection | None] = {Node.at(address): None for address in networks}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            for node in self._connections:
                began = time.monotonic()
                if not self._answers(node) or time.monotonic() - began > SLOW_SECONDS:
                    self.ill.append((began, time.monotonic()))

    def close(self) -> None:
        self._over.set()
        self.join()
        for connection in self._connections.values():
            if connection:
                connection.close()

    def _answers(self, node: Node) -> bool:
        connection, self._connections[node] = self._connections[node], None
        try:
            if connection:
                connection.greet(PATIENCE_SECONDS)
            else:
                connection = Connection.open(node, self._limits, PATIENCE_SECONDS)
        except NodeFailure:
            if connection:
                connection.close()
            return False
        self._connections[node] = connection
        return True
