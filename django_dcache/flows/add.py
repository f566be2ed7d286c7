"""Add: store only if absent. One copy decides, and at any moment it is the same one for every process.

    stable          the first replica that can be used, and the others consent
    prepare, settle O's first, or N's; the others consent
    copy            O's first, under the lease of N's first (the gate)
    flip            N's first, under its lease

*Consent*: the other replicas are leased before the decision, and filled by their tokens after it. A process that knows
of a bump of the first replica decides on the next one; then the token is void, and what was added is taken back
(docs/adr/0023).

Copy and flip run side by side until everybody knows of flip. With the gate's lease in hand nobody of the other phase
decides; a lease that is void at the end means that somebody did, or wrote, and then nothing was added.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..commands import Answer, Command, Get, Refused, Remove, Reply, Store, Token, Value
from ..errors import NodeFailure, NoReplica
from ..model.placement import Route
from ..model.view import Place, Standing, View
from . import Brief, Flow, Item, Pause
from .consensus import bump, unmoved
from .write import Batches, Outcome, write

TRIES = 20
WAIT = 0.002
CONSENTS = 4
"""How often a replica is asked for its consent whose token was void, though there is no value."""

Readable = Callable[[Value], bool]
"""Whether a value, with its bytes, is one that this process can read. What nobody can read is absent."""


def _always(value: Value) -> bool:
    return True


def add(view: View, name: bytes, item: Item, readable: Readable = _always) -> Flow[bool]:
    """Whether it was stored; False if any copy exists. Raises NoReplica where that can't be told."""
    place = view.place(name)
    route, slot = place
    if any(view.standing(node, slot) is Standing.OWED for node in route.write + route.purge):
        raise NoReplica(epoch=view.epoch)
    if route.fill:
        return (yield from _add_through_gate(view, name, place, item, readable))
    addition = _Addition(view, name, slot, route, item, readable)
    if not (yield from addition.decide()):
        return False
    return (yield from _follow(view, name, place, set(route.write)))


class _Held(NamedTuple):
    """What a node holds: `token` of the very item, None if there is none."""

    free: bool
    """There is nothing, a stub, or something that can't be read."""
    token: Token | None = None


class _Addition:
    """One addition under way, where the replicas are not being filled."""

    def __init__(self, view: View, name: bytes, slot: int, route: Route, item: Item, readable: Readable):
        self._view, self._name, self._slot, self._route = view, name, slot, route
        self._item, self._readable = item, readable
        self._alone = False
        """Whether a copy took no part: its node did not answer, or its slot was bumped a moment ago."""

    def decide(self) -> Flow[bool]:
        """Whether the item is on every replica that can be used."""
        truth = self._route.truth
        order = (truth, *(node for node in self._route.write if node != truth)) if truth else self._route.write
        usable = [node for node in order if self._view.standing(node, self._slot) is Standing.OPEN]
        if not usable or (truth and usable[0] != truth):
            return False
        self._alone = len(usable) < len(order)
        leased = yield from self._lease(usable)
        if leased is None:
            return False
        leases, won = leased
        while usable:
            decider = usable[0]
            mine = yield from self._decide(decider)
            if mine is not None:
                break
            usable.pop(0)
            yield from self._disown({decider})
            if truth or not usable:
                raise NoReplica(epoch=self._view.epoch)  # It may have been stored.
        assert mine is not None
        if not mine.free:
            yield from self._release({node: token for node, token in won.items() if node in usable[1:]})
            return False
        for node in tuple(usable[1:]):
            consent = yield from self._consent(node, leases.get(node), decider, mine)
            if consent is None:
                usable.remove(node)
                yield from self._disown({node})
            elif not consent:
                yield from self._take_back(decider, mine)
                return False
        if self._alone:
            return (yield from unmoved(self._view, {(node, self._slot) for node in usable}))
        return True

    def _lease(self, usable: list[str]) -> Flow[tuple[dict[str, Token], dict[str, Token]] | None]:
        """A token of each replica but the first, and which of them this process alone has; None if any of them has the
        item, or closed ones do."""
        asks: dict[str, list[Command]] = {node: [self._get(node, lease=True)] for node in usable[1:]}
        for node in self._route.write:
            if self._view.standing(node, self._slot) is Standing.CLOSED:
                asks[node] = [self._get(node)]
        replies = (yield Brief(asks)) if asks else {}
        tokens: dict[str, Token] = {}
        won: dict[str, Token] = {}
        silent: set[str] = set()
        taken = False
        for node, (reply,) in replies.items():
            if isinstance(reply, NodeFailure | Refused):
                silent.add(node)
                continue
            held = yield from self._held(node, reply)
            taken |= not held.free
            if held.token and node in usable:
                tokens[node] = held.token
                if isinstance(reply, Value) and reply.won:
                    won[node] = held.token
        if taken:
            yield from self._release(won)
            return None
        if silent:
            usable[1:] = [node for node in usable[1:] if node not in silent]
            yield from self._disown(silent)
        return tokens, won

    def _decide(self, node: str) -> Flow[_Held | None]:
        """None: nobody knows. Free: the item is there, and is ours."""
        store = self._store(node)._replace(add=True)
        replies = (yield Brief({node: [store, self._get(node)]}))[node]  # Another copy may have to decide in its place.
        stored, there = replies
        if stored is Answer.DONE:
            return _Held(True, there.token if isinstance(there, Value) else None)
        if isinstance(stored, NodeFailure):
            return None
        if stored is not Answer.NOT_STORED or isinstance(there, NodeFailure | Refused):
            return _Held(False)
        held = yield from self._held(node, there)
        if not held.free or held.token is None:
            return _Held(False)
        # A stub counts as absent: it is replaced by its token, which voids the filler's.
        replies = (yield {node: [self._store(node, held.token), self._get(node)]})[node]
        stored, there = replies
        if isinstance(stored, NodeFailure):
            return None
        return _Held(stored is Answer.DONE, there.token if isinstance(there, Value) else None)

    def _consent(self, node: str, token: Token | None, decider: str, mine: _Held) -> Flow[bool | None]:
        """Whether the item is on that replica, or nothing has to be; None: nobody knows."""
        for _ in range(CONSENTS):
            if token is not None:
                (reply,) = (yield {node: [self._store(node, token)]})[node]
                if reply is Answer.DONE:
                    return True
                if isinstance(reply, NodeFailure | Refused):
                    return None
            # The lease is void: given back by a process that came second, or there was a count, a delete, a set.
            (reply,) = (yield {node: [self._get(node, lease=True)]})[node]
            if isinstance(reply, NodeFailure | Refused):
                return None
            held = yield from self._held(node, reply)
            if not held.free:
                return False
            token = held.token
            # Leased after the decision: whatever was counted or deleted before has to show.
            (there,) = (yield {decider: [self._get(decider)]})[decider]
            if token is None or not isinstance(there, Value) or there.token != mine.token:
                yield from self._release({node: token} if token and isinstance(reply, Value) and reply.won else {})
                return True
        return False

    def _held(self, node: str, reply: Reply) -> Flow[_Held]:
        if not isinstance(reply, Value):
            return _Held(True)
        if reply.stub:
            return _Held(True, reply.token)
        return (yield from _look_inside(self._view, self._name, self._slot, node, reply, self._readable))

    def _take_back(self, node: str, held: _Held) -> Flow[None]:
        generation = self._view.generation(node, self._slot)
        if held.token is None:
            yield from self._disown({node})
            return
        (reply,) = (yield {node: [Remove(self._name, generation, held.token)]})[node]
        if isinstance(reply, NodeFailure | Refused):
            yield from self._disown({node})

    def _release(self, tokens: dict[str, Token]) -> Flow[None]:
        drops: dict[str, list[Command]] = {
            node: [Remove(self._name, self._view.generation(node, self._slot), token)] for node, token in tokens.items()
        }
        if drops:
            yield drops

    def _disown(self, nodes: Iterable[str]) -> Flow[None]:
        """Raises NoReplica: the old copy may be there, for others to read."""
        self._alone = True
        if not (yield from bump(self._view, {(node, self._slot) for node in (*nodes, *self._route.joining)})):
            raise NoReplica(epoch=self._view.epoch)

    def _get(self, node: str, lease: bool = False) -> Get:
        generation = self._view.generation(node, self._slot)
        # To look at what was just added is no use of it: no reader has asked for it yet (docs/adr/0011).
        return Get(self._name, generation, value=False, token=not lease, lease=lease, peek=not lease)

    def _store(self, node: str, token: Token | None = None) -> Store:
        flags, data, ttl = self._item
        return Store(self._name, self._view.generation(node, self._slot), data, flags, ttl, token=token)


def _look_inside(view: View, name: bytes, slot: int, node: str, there: Value, readable: Readable) -> Flow[_Held]:
    """Whether what is there is a value; that takes its bytes."""
    if readable is _always or readable(there):
        return _Held(False)
    (reply,) = (yield {node: [Get(name, view.generation(node, slot), token=True)]})[node]
    if not isinstance(reply, Value):
        return _Held(reply is Answer.MISS)
    return _Held(reply.stub or not readable(reply), reply.token)


# Copy and flip


def _add_through_gate(view: View, name: bytes, place: Place, item: Item, readable: Readable) -> Flow[bool]:
    route, slot = place
    decider = route.truth
    token = None
    if route.gate:
        token = yield from _take_gate(view, name, place)
        if token is None:
            return False
    if view.standing(decider, slot) is not Standing.OPEN:
        yield from _leave_gate(view, name, place, token)
        return False
    # Its own copy may be the only one that is missing.
    others = {*route.read, *route.fill} - {decider, route.gate}
    if (yield from _exists(view, name, slot, others, readable)):
        yield from _leave_gate(view, name, place, token)
        return False
    if token and decider == route.gate:
        generation = view.generation(decider, slot)
        store = Store(name, generation, item.data, item.flags, item.ttl, token=token)
        (reply,) = (yield {decider: [store]})[decider]
        decided = None if isinstance(reply, NodeFailure) else reply is Answer.DONE
    else:
        mine = yield from _Addition(view, name, slot, route, item, readable)._decide(decider)
        decided = None if mine is None else mine.free
        if decided and not (yield from _leave_gate(view, name, place, token)):
            yield from write(view, {name: None})
            return False
        if decided is False:
            yield from _leave_gate(view, name, place, token)
    if decided is None:
        yield from bump(view, {(decider, slot), *((other, slot) for other in route.joining)})
        yield from _leave_gate(view, name, place, token)
        raise NoReplica(epoch=view.epoch)
    if not decided:
        return False
    return (yield from _follow(view, name, place, {decider}))


def _exists(view: View, name: bytes, slot: int, nodes: Iterable[str], readable: Readable) -> Flow[bool]:
    """Whether any of them has it. One that is silent may have it, but what follows will bump it."""
    asks = {
        node: [Get(name, view.generation(node, slot), value=False)]
        for node in nodes
        if view.standing(node, slot) in (Standing.OPEN, Standing.CLOSED)
    }
    replies = (yield Brief(asks)) if asks else {}
    for node, (reply,) in replies.items():
        if isinstance(reply, Value) and not reply.stub:
            if not (yield from _look_inside(view, name, slot, node, reply, readable)).free:
                return True
    return False


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


def _follow(view: View, name: bytes, place: Place, have: set[str]) -> Flow[bool]:
    """Delete every other copy, sources before targets. In copy and flip the deciding copy is the only one: a counter on
    it may have been counted with already, and then no other copy may be as it was (count.py)."""
    outcomes = {name: Outcome()}
    route, slot = place
    for part in (route.first, route.second):
        batches = Batches(view)
        for node in part.write:
            if node not in have or view.standing(node, slot) is not Standing.OPEN:
                batches.add(name, node, slot, route.joining, None)
        for node in part.purge:
            batches.add(name, node, slot, route.joining, None, purge=True)
        yield from batches.carry(outcomes)
    return outcomes[name].acknowledged
