"""What a flow may ask of a node, and what a node may answer: small values, in no engine's words.

An engine turns commands into bytes and bytes into replies (`engines/`); flows speak in these only.
"""

from enum import Enum
from typing import NamedTuple, TypeGuard

LEASE_SECONDS = 24 * 3600
"""How long the stub that a lease leaves behind lives: longer than a loader runs. One whose holder died is in no
caller's way for long: each takes it over after a while."""


class Token(NamedTuple):
    """The right to replace one exact item; valid only on the connection that issued it."""

    cas: int
    connection: int


class Get(NamedTuple):
    """Read. With `lease`, a miss leaves a stub behind and the first asker gets the right to fill it.

    With `peek` the node does not count it as a use of the item. With `uncounted`, for an item that never expires, the
    node does not count it among its clients' hits, if its engine can tell them apart.
    """

    name: bytes
    generation: int = 0
    value: bool = True
    ttl: bool = False
    token: bool = False
    lease: bool = False
    peek: bool = False
    uncounted: bool = False


class Store(NamedTuple):
    """Write. `ttl` in seconds, None: for ever. With `add` only if absent; with `token` only over that very item."""

    name: bytes
    generation: int
    data: bytes
    flags: int = 0
    ttl: float | None = None
    add: bool = False
    token: Token | None = None


class Remove(NamedTuple):
    """Delete, with `token` only that very item."""

    name: bytes
    generation: int = 0
    token: Token | None = None


class Touch(NamedTuple):
    """Give an existing item a new TTL, in seconds; None: it never expires."""

    name: bytes
    generation: int
    ttl: float | None


class Flush(NamedTuple):
    """Forget everything the node holds; where others may share it, everything whose name begins with `beginning`."""

    beginning: bytes = b""


class Arithmetic(NamedTuple):
    """Add `delta` to a number of 64 bits without a sign, modulo 2^64; the TTL stays. With `token` only to that item."""

    name: bytes
    generation: int
    delta: int
    token: Token | None = None


CONDITIONAL = (Store, Remove, Arithmetic)
"""The commands that may carry a token."""

Command = Get | Store | Remove | Touch | Arithmetic | Flush


class Answer(Enum):
    """Replies without a value."""

    DONE = "done"
    MISS = "miss"
    NOT_STORED = "not stored"
    """`add` found an item, or a stub."""
    CONFLICT = "conflict"
    """The token is void: the item changed since."""


class Value(NamedTuple):
    """An item. `data` is None where only its existence was asked for."""

    data: bytes | None
    flags: int = 0
    ttl: float | None = None
    """Seconds left, rounded down; None: never expires, or not asked for."""
    token: Token | None = None
    won: bool = False
    """A miss, and the right to fill it is the asker's."""
    stub: bool = False
    """A miss that a client is about to fill (the asker, if `won`)."""


class Refused(NamedTuple):
    """The node understood and said no, for instance to a value above its item limit."""

    reason: str
    unchanged: bool = False
    """It says that the item is as it was, for instance because it holds no number to add to."""


Reply = Answer | Value | Refused


def is_item(reply: object) -> TypeGuard[Value]:
    """Whether the node holds an item. A stub is a miss."""
    return isinstance(reply, Value) and not reply.stub


def is_copyable(reply: object) -> TypeGuard[Value]:
    """Whether it is an item, with its bytes, that can be stored elsewhere with the TTL it has left. One with less than
    a second to live has a TTL of 0, which would mean for ever."""
    return is_item(reply) and reply.data is not None and reply.ttl != 0
