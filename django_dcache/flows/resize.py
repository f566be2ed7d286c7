"""What a conductor and a mover do: hold the lease, publish epochs, carry keys over, sweep up.

The rules: docs/explanation/protocol.md#the-four-phase-move.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..commands import Answer, Get, Remove, Store, Value
from ..errors import Coexisting, Conflict, NodeFailure, NoMajority
from ..model.documents import LEASE, REPORT
from ..model.placement import Route
from ..model.state import Control, FleetState, conductor_key, progress_key
from ..model.topology import Topology
from ..model.view import Place, View
from . import Flow
from .consensus import agree
from .fill import fill
from .majorities import majority

LEASE_TTL = 6
"""Seconds a dead conductor blocks the next one; a living one renews it three times as often."""


REPORT_TTL = 3600


class Key(NamedTuple):
    """A stored key as a mover sees it."""

    name: bytes
    slot: int
    route: Route


class Moved(NamedTuple):
    """What became of a batch of keys."""

    filled: int = 0
    """Now on their joining nodes."""
    bytes: int = 0
    gone: int = 0
    """Found nowhere any more: expired, deleted or evicted since the dump."""
    failed: int = 0
    """Not there yet: to be tried again."""
    busy: int = 0
    """Of these, how many another process fills, or has just written. The others' nodes did not answer."""

    @property
    def complete(self) -> bool:
        """Whether whatever there was is on its joining nodes."""
        return not self.failed

    def __add__(self, other: object) -> "Moved":
        return Moved(*(a + b for a, b in zip(self, other, strict=True))) if isinstance(other, Moved) else NotImplemented


def hold_lease(view: View, owner: bytes) -> Flow[bytes | None]:
    """Take or renew the conductor's lease on a majority of keepers. None: held; else who holds it instead."""
    key = conductor_key(view.fleet)
    keepers = sorted(view.state.topology.all_keepers)
    replies = yield {name: [Get(key, token=True)] for name in keepers}
    ours: set[str] = set()
    other = b"no keeper that answers"
    stores: dict[str, list[Store]] = {}
    lease = view.documents.seal(LEASE, owner, view.wall_clock() + LEASE_TTL)
    for name, (reply,) in replies.items():
        if reply is Answer.MISS:
            stores[name] = [Store(key, 0, lease, ttl=LEASE_TTL, add=True)]
        elif isinstance(reply, Value):
            holder = _holder(view, reply)
            if holder in (None, owner):  # What no conductor of ours signed is no lease.
                stores[name] = [Store(key, 0, lease, ttl=LEASE_TTL, token=reply.token)]
            else:
                other = holder
    if stores:
        outcome = yield stores
        ours = {name for name, (reply,) in outcome.items() if reply is Answer.DONE}
    if majority(view.state.topology, ours):
        return None
    yield from drop_lease(view, owner)
    return other


def drop_lease(view: View, owner: bytes) -> Flow[None]:
    """Give the lease back wherever it is ours."""
    key = conductor_key(view.fleet)
    replies = yield {name: [Get(key, token=True)] for name in sorted(view.state.topology.all_keepers)}
    drops = {
        name: [Remove(key, 0, reply.token)]
        for name, (reply,) in replies.items()
        if isinstance(reply, Value) and _holder(view, reply) == owner
    }
    if drops:
        yield drops


def _holder(view: View, reply: Value) -> bytes | None:
    """The conductor that holds this lease; None if no conductor of ours signed it."""
    return view.documents.unseal(LEASE, reply.data or b"", view.wall_clock()) or None


def new_fence(view: View) -> Flow[int]:
    """A token higher than any conductor's before. Raises NoMajority."""
    found = yield from agree(view, lambda state: replace(state, fence=state.fence + 1))
    if not found.majority:
        raise NoMajority(epoch=found.state.topology.epoch)
    return found.state.fence


def publish(view: View, topology: Topology, fence: int, bump: Iterable[str] = ()) -> Flow[None]:
    """Make `topology` the next epoch, and every slot of the nodes in `bump` new with it.

    Raises Coexisting, Conflict if a newer conductor or another epoch came first, NoMajority if too few keepers answered
    (it may be published then: publish the same again).
    """
    bump = tuple(bump)
    if view.coexists:
        raise Coexisting("nothing can be moved yet", epoch=view.epoch)

    def change(state: FleetState) -> FleetState:
        if state.fence > fence:
            raise Conflict("a newer conductor took over", epoch=state.topology.epoch)
        if state.planted != view.state.planted:
            raise Conflict("the keepers lost the fleet's map, and another one was planted", epoch=state.topology.epoch)
        if state.topology == topology:
            return state
        if state.topology.epoch != topology.epoch - 1:
            raise Conflict(f"wanted to publish epoch {topology.epoch}", epoch=state.topology.epoch)
        for node in state.topology.moved(topology.layouts[-1]):
            state = state.moved(node.name)
        for name in bump:
            state = state if state.empty(name) else state.bumped_whole(name)
        for name in topology.layouts[-1].out - state.topology.layouts[-1].out:
            state = state.taken_out(name)
        return replace(state, topology=topology)

    found = yield from agree(view, change, also=topology.all_keepers, everywhere=True)
    if not found.majority:
        raise NoMajority(epoch=topology.epoch)


def ask(view: View, wish: str) -> Flow[None]:
    """Tell the conductor to "run", "pause" or "cancel". Raises NoMajority."""

    def change(state: FleetState) -> FleetState:
        if state.control.wish == wish:
            return state
        return replace(state, control=Control(state.control.serial + 1, wish))

    found = yield from agree(view, change)
    if not found.majority:
        raise NoMajority(epoch=found.state.topology.epoch)


def leave_report(view: View, report: bytes) -> Flow[None]:
    """Put a progress report where `rebalance status` finds it. Best effort."""
    sealed = view.documents.seal(REPORT, report, view.wall_clock() + REPORT_TTL)
    store = Store(progress_key(view.fleet), 0, sealed, ttl=REPORT_TTL)
    yield {name: [store] for name in sorted(view.state.topology.all_keepers)}


def carry(view: View, epoch: int, keys: Sequence[Key], share: bool = False) -> Flow[Moved]:
    """Fill the joining copies of `keys`, each under its lease, with TTL and flags (copy and flip).

    `epoch` is the one the keys' routes are of. With `share` leases of others, who seem to be dead, are used too. Raises
    Conflict if the fleet has moved on.
    """
    _still(view, epoch)
    by_target: dict[str, dict[bytes, Place]] = defaultdict(dict)
    for key in keys:
        for target in key.route.joining:
            by_target[target][key.name] = Place(key.route, key.slot)
    total = Moved()
    for target, places in by_target.items():
        report = yield from fill(view, places, target, value=False, share=share)
        total += Moved(report.filled, report.size, report.gone, report.failed, report.busy)
    return total


def discard(view: View, epoch: int, node: str, keys: Sequence[Key]) -> Flow[int]:
    """Delete `keys` from a node that does not own them, or does not yet; how many were there. Raises as `carry` does,
    and the NodeFailure if the node did not answer."""
    _still(view, epoch)
    commands = [Remove(key.name, view.generation(node, key.slot)) for key in keys]
    replies = (yield {node: commands})[node] if commands else ()
    for reply in replies:
        if isinstance(reply, NodeFailure):
            raise reply
    return sum(reply is Answer.DONE for reply in replies)


def _still(view: View, epoch: int) -> None:
    if view.epoch != epoch:
        raise Conflict(f"keys were listed under epoch {epoch}", epoch=view.epoch)
