"""What the nodes of every engine are looked at for; what to do about it is in the engine's words (`fix`). Pure."""

from collections.abc import Iterator
from typing import Literal

from .inspection import Check, NodeReply

FULL_RATIO = 0.95
"""The part of its memory in use from which on a node counts as full."""
BUSY_CONNECTIONS_RATIO = 0.9
"""The part of a node's connections in use from which on a check warns."""


def evictions(reply: NodeReply, fix: str) -> Iterator[Check]:
    """Whether items had to go before their time."""
    evicted = reply.evictions
    if evicted:
        yield Check("evictions", "warn", f"{evicted:,} items evicted since it started", fix)
    elif evicted == 0:
        yield Check("evictions", "ok", "none")


def memory(reply: NodeReply) -> Iterator[Check]:
    """How full a node with a limit is."""
    used, limit = reply.used_bytes, reply.limit_bytes
    if used is not None and limit:
        verdict: Literal["ok", "warn"] = "warn" if used / limit > FULL_RATIO else "ok"
        yield Check("memory", verdict, f"{used / limit:.0%} of {limit // 2**20:,} MiB used")


def connections(reply: NodeReply, limit: int | None, refused: int | None, fix: str) -> Iterator[Check]:
    """How many of its connections a node has left. `refused`: how often it had none."""
    now = reply.connections
    if now is None or not limit:
        return
    if now > BUSY_CONNECTIONS_RATIO * limit or refused:
        detail = f"{now} of {limit} in use" + (f"; had none left {refused} times" if refused else "")
        yield Check("connections", "warn", detail, fix)
    else:
        yield Check("connections", "ok", f"{now} of {limit}")
