"""What the layers above need of an engine, in no engine's words."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..commands import Command, Reply
from ..model.addresses import Login
from ..model.topology import Node

if TYPE_CHECKING:  # They are built on this module.
    from .inspection import Introspection
    from .shortcut import ShortCut


class Parser(Protocol):
    """Reads the replies to one batch, from chunks cut anywhere.

    Raises ProtocolViolation at the first byte that can't be right.
    """

    replies: list[Reply]
    refused: bool
    """An error came that does not say which command it answers."""
    rest: int
    """How many bytes of the last chunk follow the last reply."""
    request: bytes
    """What is to be sent now, so that the rest of the replies can come; the sender empties it."""

    @property
    def complete(self) -> bool: ...

    @property
    def tainted(self) -> bool:
        """The replies can be trusted, the connection can't any more."""

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes, in `chunk` from `start` on; True once every reply is there."""


class Question(Protocol):
    """Bytes to be sent over a connection, and what reads the answer."""

    request: bytes
    """What is to be sent now; the sender empties it, and looks again after each `feed`."""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the answer is complete. Raises ProtocolViolation."""


class Greeting(Question, Protocol):
    """What is said first."""

    @property
    def returned(self) -> str:
        """The incarnation in which the node came back with what another run of its process held; empty: it did not."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The software of a fleet's nodes, as everything outside of its package knows it."""

    name: str
    encode: Callable[[Sequence[Command], int, float], bytes]
    """The bytes of a batch, from its commands, the opaque number of the first, and Unix time."""
    parser: Callable[[Sequence[Command], int, int, int], Parser]
    """What reads the replies, from the commands, the opaque number of the first, the serial number of the connection
    that tokens are bound to, and the most bytes of a value: a larger one is not kept while it comes, and is a miss."""
    greeting: Callable[[Node, Login | None, str], Greeting]
    """The first command on a connection to a node, sent once more on one that was idle for long: a node that can't be
    used shows it before anything is at stake. From the node, the login, and the fleet whose mark it carries, if any."""
    introspection: "Introspection | None"
    """What the manager asks. None: nothing outside of this process can look at a node."""
    numbered: bool
    """Each reply says which command it answers."""
    ordered: bool = True
    """A node executes the commands of a connection in their order. If not, one batch at a time is under way on each."""
    again: Callable[[Node, str], Greeting] | None = None
    """What is sent on a connection that was greeted and has been idle, where a greeting can't be said twice. None: the
    same as at first."""
    connect: Callable[[Node], Any] | None = None
    """Makes the stream to a node that no socket leads to. None: a socket does."""
    census: Callable[[str, Collection[str]], Question] | None = None
    """Looks through all that a node holds, from the name of a fleet and what its made keys begin with: its answer is
    complete only if nothing else is there. None: what empties a node leaves the keys of others."""
    hot: "ShortCut | None" = None
    """The bytes of the short cut. None: there is none, and every operation takes its flow."""
