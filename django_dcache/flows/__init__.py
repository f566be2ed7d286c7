"""Decisions, as generators: they yield a step, the driver carries it out and sends back what came of it.

Written once for every driver (sync, asyncio, a simulation). A flow holds no socket and no clock of its own; a test
drives it with hand-written replies, and a fault is just another reply.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ..commands import Arithmetic, Command, Refused, Remove, Reply
from ..errors import NodeFailure, NotServed, UnknownFormat
from ..model.state import FleetState, Slot

Batches = Mapping[str, Sequence[Command]]
"""One round: what each node is asked. Every batch is sent before the first reply is awaited."""

Replies = Mapping[str, Sequence[Reply | NodeFailure]]
"""What came of it: for each node as many replies as commands; a failure stands in for each reply that never came."""


class Urgent(dict[str, Sequence[Command]]):
    """A round that gets time of its own although the operation's is used up: what it prevents is a stale value."""


class Brief(dict[str, Sequence[Command]]):
    """A round that leaves half of the time to the one after it: another copy can still be asked."""


@dataclass(frozen=True, slots=True)
class Learn:
    """Take this into the process's view. `proven_at`: when asking began, if a majority of keepers answered.
    `held`: whether a majority of every group holds just this. `refused`: keepers whose document is left alone."""

    state: FleetState
    proven_at: float | None = None
    held: bool = True
    refused: Mapping[str, UnknownFormat] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owe:
    """Remember generations that a majority of keepers has yet to be told."""

    wanted: dict[Slot, int]


@dataclass(frozen=True, slots=True)
class Shun:
    """Leave these nodes alone until told otherwise: it is about to be decided that they are taken out."""

    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait a little: another process is about to change what was just seen."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Call the application, outside of every deadline, and prove the view again. Sends back what the call returned."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass outside of the operation's deadline, at the expense of the request, and prove the view again.

    Sends back the view, or None if the request has no time left. Tokens do not outlive it.
    """

    seconds: float


class Item(NamedTuple):
    """What to store. `ttl` in seconds, None: it never expires."""

    flags: int
    data: bytes
    ttl: float | None = None


Step = Batches | Learn | Owe | Shun | Pause | Load | Wait
Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]


class Run(NamedTuple):
    """A flow to be run, with its arguments."""

    flow: Any
    arguments: tuple[Any, ...] = ()
    short_cut: Callable[[], Any] | None = None
    """What a thread tries first (docs/adr/0026): it returns what the flow would, or raises NeedsFlow."""


Operation = Generator[Run, Any, Any]
"""What a method of the cache does: it yields flows to be run, each with a deadline of its own."""


def lost(command: Command, reply: Reply | NodeFailure, purge: bool = False) -> bool:
    """Whether the copy may be out of step now. A refused delete or addition is as bad as a silent one.

    `purge`: the copy is one that joins or leaves. If its node has left the fleet, no process reads it either.
    """
    if purge and isinstance(reply, NotServed):
        return False
    if isinstance(reply, Refused):
        return type(command) in (Remove, Arithmetic) and not reply.unchanged
    return isinstance(reply, NodeFailure)
