"""One package an engine: all that knows its bytes, its limits and its statistics.

A module of a package is an `Engine`: `engine_of` chooses it by a node's address.
"""

from collections.abc import Sequence
from typing import Protocol

from ..commands import Command, Reply
from ..model.topology import Node


class Parser(Protocol):
    """Reads the replies to one batch, from chunks cut anywhere.

    Raises ProtocolViolation at the first byte that can't be right.
    """

    replies: list[Reply]
    refused: bool
    """An error came that does not say which command it answers."""
    rest: int
    """How many bytes of the last chunk follow the last reply."""

    @property
    def complete(self) -> bool: ...

    @property
    def tainted(self) -> bool:
        """The replies can be trusted, the connection can't any more."""

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes, in `chunk` from `start` on; True once every reply is there."""


class Engine(Protocol):
    """What the transport needs of an engine."""

    def encode(self, commands: Sequence[Command], first: int, now: float) -> bytes:
        """The bytes of a batch, whose opaque numbers begin with `first`. `now` is Unix time."""

    def parser(self, commands: Sequence[Command], first: int, connection: int, most: int) -> Parser:
        """What reads the replies. `connection`: the serial number that tokens are bound to. `most`: a value that is
        larger is not kept while it comes, and is a miss."""


def engine_of(node: Node) -> Engine:
    """The engine that a node's address names."""
    from .memcached import protocol  # The engines import what is above.

    return protocol
