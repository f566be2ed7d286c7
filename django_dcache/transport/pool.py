"""The idle connections of one node, newest first. No lock: a deque's append and pop are atomic."""

import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import NodeDown, NodeUnreachable
from ..model.topology import Node
from .breaker import Breaker
from .connection import Connection
from .outliers import mean


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts that bound the transport."""

    timeout: float = 0.25
    connect_timeout: float = 0.25
    idle_connections: int = 64
    tls: ssl.SSLContext | None = None
    address_remap: Callable[[str], str] | None = None
    """From a node's address, which is the same for everybody, to where this process reaches it."""

    def endpoint(self, node: Node) -> str | tuple[str, int]:
        """What a socket connects to for `node`."""
        if self.address_remap is None:
            return node.endpoint
        return replace(node, address=self.address_remap(node.address)).endpoint


class Pool:
    """A connection is taken out to be used and comes back only if its last reply was complete and in step.

    One that does not come back, for whatever reason, is closed by its last reference going away: nothing to leak.
    """

    def __init__(self, node: Node, limits: Limits, breaker: Breaker):
        self.node, self.breaker = node, breaker
        self.opened = 0
        self.latency = 0.0
        """Running mean of its answers, in seconds; 0 before the first."""
        self._limits = limits
        self.idle: deque[Connection] = deque()
        """Ready for use, the one used last at the right end."""

    def take(self, seconds: float, fresh: bool = False) -> Connection:
        """An idle connection, or (always, if `fresh`) a new one within `seconds`. Raises NodeDown, NodeUnreachable."""
        if not self.breaker.admits():
            raise NodeDown(f"since its last failure it is {self.breaker.state}", node=self.node.name)
        if not fresh:
            try:
                return self.idle.pop()
            except IndexError:
                pass
        return self.open(seconds)

    def open(self, seconds: float) -> Connection:
        """A new connection within `seconds`. Raises NodeUnreachable."""
        limits = self._limits
        try:
            connection = Connection.open(
                self.node.name,
                limits.endpoint(self.node),
                max(0.001, min(seconds, limits.connect_timeout)),
                limits.tls,
                # The short cut waits for half of the time at most; the flow that takes over needs the rest.
                limits.timeout / 2,
            )
        except NodeUnreachable:
            self.breaker.failed(absent=True)
            raise
        self.opened += 1
        return connection

    def answered(self, seconds: float) -> None:
        self.latency = mean(self.latency, seconds)

    def give_back(self, connection: Connection) -> None:
        connection.used = True
        if len(self.idle) < self._limits.idle_connections:
            self.idle.append(connection)
        else:
            connection.close()

    def clear(self) -> None:
        """Close what is idle: the node left the fleet, or its process was replaced."""
        while self.idle:
            try:
                self.idle.pop().close()
            except IndexError:
                break

    def forget(self) -> None:
        """In a forked child: the connections belong to the parent."""
        self.breaker.after_fork()
        idle, self.idle = self.idle, deque()
        for connection in idle:
            connection.forget()
