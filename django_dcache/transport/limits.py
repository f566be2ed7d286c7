"""Seconds and counts that bound the transport, and how nodes are connected to."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from ..errors import ConfigurationError, NodeUnreachable
from ..model.addresses import Endpoint, Login, parse
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

    fleet: str = ""
    """Whose mark nodes carry (flows/returned.py). Empty: they are looked at only."""
    logins: tuple[tuple[str, Login], ...] = field(default=(), repr=False)
    """By a node's address, as far as any is known."""
    common_login: Callable[[], Login | None] | None = field(default=None, repr=False)
    """Of nodes that have none of their own."""

    def login(self, node: Node) -> Login | None:
        """What `node` is told before anything else; where nothing says what, as much as another one. Raises
        NodeUnreachable."""
        if own := dict(self.logins).get(node.address):
            return own
        try:
            common = self.common_login() if self.common_login else None
        except ConfigurationError as error:
            raise NodeUnreachable(error.detail, node=node.name) from error
        return common or next((login for _, login in self.logins), None)

    def tls_of(self, node: Node) -> ssl.SSLContext | None:
        """How a connection to `node` is made safe: where its address asks for TLS, at least by the system's roots."""
        return self.tls or (_system_roots() if parse(node.address).secure else None)

    def endpoints(self, node: Node) -> list[Endpoint]:
        """What a socket connects to for `node`, and what to instead where that fails."""
        if self.address_remap is None:
            return node.endpoints
        return replace(node, address=self.address_remap(node.address)).endpoints


@cache
def _system_roots() -> ssl.SSLContext:
    return ssl.create_default_context()
