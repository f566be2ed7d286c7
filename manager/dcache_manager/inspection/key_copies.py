"""One key: which nodes hold it, and what each of them says of it. Its value is measured, and never read."""

from dataclasses import dataclass

from django_dcache.commands import Get, Value
from django_dcache.errors import NodeFailure
from django_dcache.flows import Flow
from django_dcache.model.keys import position
from django_dcache.model.stamps import StampedName, unstamped
from django_dcache.model.view import Standing, View
from django_dcache.values.chunks import IN_CHUNKS

from .target import Target


@dataclass(frozen=True, slots=True)
class Copy:
    node: str
    state: str
    """there, in chunks (what lies there is an index of them), being loaded, invalidated, missing, not read now (it may
    be old, or not filled yet) or no answer"""
    ttl: float | None = None
    """Seconds left; None: it never expires, or is not there."""
    size: int | None = None
    """Bytes, as they are stored."""
    flags: int | None = None
    """As the node keeps them: docs/reference/envelope.md says what they mean."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    made_key: str
    point: int
    """Where it is on the ring, of 2**32."""
    slot: int
    epoch: int
    copies: list[Copy]
    """In the order in which readers ask."""


def key_report(target: Target, made_key: str) -> KeyReport:
    """What the nodes say now. No node counts it as a use of the key. Raises InvalidKey, NoMajority, ConfigurationError
    without a project."""
    with target.connected() as fleet:
        return fleet.run(_ask, made_key)


def _ask(view: View, made_key: str) -> Flow[KeyReport]:
    name = view.name(made_key)
    route, slot = view.place(name)
    holders = dict.fromkeys([*view.read_order(route), *route.fill, *route.joining])
    readable = (Standing.OPEN, Standing.CLOSED)
    asks = {
        node: [Get(name, view.generation(node, slot), ttl=True, peek=True)]
        for node in holders
        if view.standing(node, slot) in readable
    }
    answers = (yield asks) if asks else {}
    copies = [_copy(node, name, answers[node][0] if node in answers else None) for node in holders]
    return KeyReport(made_key, position(name, view.hash_tags).point, slot, view.epoch, copies)


def _copy(node: str, name: bytes, reply: object) -> Copy:
    if reply is None:
        return Copy(node, "not read now")
    if isinstance(reply, NodeFailure):
        return Copy(node, "no answer")
    if not isinstance(reply, Value) or reply.data is None:
        return Copy(node, "missing")
    if reply.stub:
        return Copy(node, "being loaded")
    state = "in chunks" if unstamped(reply.flags) & IN_CHUNKS else "there"
    if isinstance(name, StampedName) and name.outdated(reply.flags):
        state = "invalidated"
    return Copy(node, state, reply.ttl, len(reply.data), reply.flags)
