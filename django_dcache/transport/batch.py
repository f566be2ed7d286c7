"""What holds for a batch of commands to one node, whether threads or an event loop carry it."""

from collections.abc import Sequence
from time import time
from typing import NamedTuple

from ..commands import CONDITIONAL, Command, Get
from ..engines import Parser
from ..errors import NodeDown, NodeTimeout
from ..model.keys import RESERVED
from .connection import Connection
from .pool import Pool

NO_TIME = float("-inf")
"""The deadline of a round that comes too late to be sent. Any other is looked at only once it has been sent: what
passes until then is the slowness of this process (flows/lateness.py)."""
BYTES_PER_SECOND = 10_000_000
"""A round has one more second for each of these that it sends: a slow link, or a large batch, is no slow node."""


class Sent(NamedTuple):
    """A batch that has left already, with what came back so far; the connection comes with it."""

    pool: Pool
    connection: Connection
    first: int
    """The opaque number of its first command."""
    at: float
    unsent: bytes = b""
    """What the kernel did not take."""
    received: bytes = b""
    parser: Parser | None = None
    """What reads the replies, where it is not the engine's usual parser."""
    size: int = 0
    """How many bytes it is in all, where those take their time."""


def encoded(pool: Pool, connection: Connection, commands: Sequence[Command]) -> tuple[bytes, Parser]:
    """The bytes to send over `connection`, and what reads the replies. The opaque numbers follow those of the batch
    before."""
    first = connection.opaque
    connection.opaque = (first + len(commands)) % 2**31
    return pool.engine.encode(commands, first, time()), pool.parser(commands, first, connection)


def unwelcome(pool: Pool, commands: Sequence[Command]) -> NodeDown | None:
    """Why a node that has come back with what it held before is not asked these: only the fleet's own keys are."""
    if not pool.returned or all(getattr(command, "name", b"").startswith(RESERVED) for command in commands):
        return None
    return NodeDown("it came back with what it held before, and its slots are about to be renewed", node=pool.node.name)


def repeatable(commands: Sequence[Command]) -> bool:
    """Whether they may be sent twice. A write that was sent may still be executed long after its repetition was
    acknowledged."""
    return all(type(command) is Get and not command.lease for command in commands)


def bound_to(commands: Sequence[Command]) -> int:
    """The serial number of the only connection these may go over, because it issued their token; 0: any."""
    for command in commands:
        if isinstance(command, CONDITIONAL) and command.token:
            return command.token.connection
    return 0


def too_late(node: str) -> NodeTimeout:
    """Nothing leaves whose time was over before it could."""
    failure = NodeTimeout("nothing was sent", node=node)
    failure.sent = False
    return failure
