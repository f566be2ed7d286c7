"""Seconds and counts that bound the transport, and how nodes are connected to."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..model.topology import Node


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one fleet, in one process."""

    timeout: float = 0.25
    connect_timeout: float = 0.25
    idle_connections: int = 64
    tls: ssl.SSLContext | None = None
    address_remap: Callable[[str], str] | None = None
    """From a node's address, which is the same for every process, to where this process reaches it."""
    max_connections: int = 256
    most_bytes: int = 2**30
    """Of a value in a reply: a larger one is a miss."""

    def endpoint(self, node: Node) -> str | tuple[str, int]:
        """What a socket connects to for `node`."""
        if self.address_remap is None:
            return node.endpoint
        return replace(node, address=self.address_remap(node.address)).endpoint
