"""Add: store only if absent. One copy decides, and at any moment it is the same one for every process.

    stable          the first replica that can be used
    prepare         O's first
    copy            O's first, under the lease of N's first (the gate)
    flip            N's first, under its lease
    settle          N's first

Copy and flip run side by side until everybody knows of flip. With the gate's lease in hand nobody of the other phase
decides; a lease that is void at the end means that somebody did, or wrote, and then nothing was added.
"""

from collections.abc import Iterable

from ..commands import Answer, Get, Remove, Store, Token, Value
from ..errors import NodeFailure
from ..model.view import Place, Standing, View
from . import Brief, Flow, Item, Pause
from .consensus import bump
from .write import Batches, Outcome, write

TRIES = 20
WAIT = 0.002


def add(view: View, name: bytes, item: Item) -> Flow[bool]:
    """Whether it was stored. False if any copy exists, and whenever that can't be told."""
    place = view.place(name)
    route, slot = place
    if any(view.standing(node, slot) is Standing.OWED for node in route.write + route.purge):
        return False
    token = None
    if route.gate:
        token = yield from _take_gate(view, name, place)
        if token is None:
            return False
    deciders = (route.truth,) if route.truth else route.first.write
    for decider in deciders:
        if view.standing(decider, slot) is not Standing.OPEN:
            continue
        added = yield from _decide(view, name, place, item, decider, token)
        if added is None:
            lost = {(decider, slot), *((other, slot) for other in route.joining)}
            if not (yield from bump(view, lost)):
                break  # The old copy may be there, for others to read.
            continue
        return added
    yield from _leave_gate(view, name, place, token)
    return False


def _decide(view: View, name: bytes, place: Place, item: Item, decider: str, token: Token | None) -> Flow[bool | None]:
    """None: nobody knows what became of it at the decider."""
    route, slot = place
    # Its own copy may be the only one that is missing.
    others = {*route.read, *route.fill} - {decider, route.gate}
    if (yield from _exists(view, name, slot, others)):
        yield from _leave_gate(view, name, place, token)
        return False
    if token and decider == route.gate:
        generation = view.generation(decider, slot)
        store = Store(name, generation, item.data, item.flags, item.ttl, token=token)
        (reply,) = (yield {decider: [store]})[decider]
        decided = None if isinstance(reply, NodeFailure) else reply is Answer.DONE
    else:
        decided = yield from _add_to(view, name, slot, decider, item)
        if decided and not (yield from _leave_gate(view, name, place, token)):
            yield from write(view, {name: None})
            return False
        if decided is False:
            yield from _leave_gate(view, name, place, token)
    if not decided:
        return decided
    return (yield from _follow(view, name, place, item, decider))


def _add_to(view: View, name: bytes, slot: int, node: str, item: Item) -> Flow[bool | None]:
    generation = view.generation(node, slot)
    store = Store(name, generation, item.data, item.flags, item.ttl, add=True)
    (reply,) = (yield Brief({node: [store]}))[node]  # Another copy may have to decide in its place.
    if reply is Answer.NOT_STORED:
        # A stub counts as absent: it is replaced by its token, which voids the filler's.
        (found,) = (yield {node: [Get(name, generation, value=False, token=True)]})[node]
        if isinstance(found, Value) and found.stub:
            store = Store(name, generation, item.data, item.flags, item.ttl, token=found.token)
            (reply,) = (yield {node: [store]})[node]
    return None if isinstance(reply, NodeFailure) else reply is Answer.DONE


def _exists(view: View, name: bytes, slot: int, nodes: Iterable[str]) -> Flow[bool]:
    """Whether any of them has it. One that is silent may have it, but what follows will bump it."""
    asks = {
        node: [Get(name, view.generation(node, slot), value=False)]
        for node in nodes
        if view.standing(node, slot) in (Standing.OPEN, Standing.CLOSED)
    }
    replies = (yield Brief(asks)) if asks else {}
    return any(isinstance(reply, Value) and not reply.stub for (reply,) in replies.values())


def _take_gate(view: View, name: bytes, place: Place) -> Flow[Token | None]:
    """The lease of N's first; None if the item is there, or the lease can't be had."""
    gate, slot = place.route.gate, place.slot
    if view.standing(gate, slot) is not Standing.OPEN:
        return None
    for attempt in range(TRIES):
        (reply,) = (yield {gate: [Get(name, view.generation(gate, slot), value=False, lease=True)]})[gate]
        if not isinstance(reply, Value) or not reply.stub:
            return None
        if reply.won:
            return reply.token
        if attempt == TRIES - 2:  # Whoever holds it died, or will find it void.
            yield {gate: [Remove(name, view.generation(gate, slot), reply.token)]}
        yield Pause(WAIT)
    return None


def _leave_gate(view: View, name: bytes, place: Place, token: Token | None) -> Flow[bool]:
    """Give the lease back. False if it was void, or may have been."""
    if token is None:
        return True
    gate = place.route.gate
    (reply,) = (yield {gate: [Remove(name, view.generation(gate, place.slot), token)]})[gate]
    return reply is Answer.DONE


def _follow(view: View, name: bytes, place: Place, item: Item, decider: str) -> Flow[bool]:
    outcomes = {name: Outcome()}
    route, slot = place
    for part in (route.first, route.second):
        batches = Batches(view)
        for node in part.write:
            if node != decider:
                batches.add(name, node, slot, route.joining, item)
        for node in part.purge:
            batches.add(name, node, slot, route.joining, None, purge=True)
        yield from batches.carry(outcomes)
    return outcomes[name].acknowledged
