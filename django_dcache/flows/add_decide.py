"""Add, where the replicas are not being filled: one copy decides, and the others consent.

*Consent*: the other replicas are leased before the decision, and filled by their tokens after it. A process that knows
of a bump of the first replica decides on the next one; then the token is void, and what was added is taken back
(docs/adr/0023).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..commands import Answer, Command, Get, Refused, Reply, Token, Value
from ..errors import NodeFailure, NoReplica
from ..model.view import Standing, View
from . import Brief, Flow, Item
from .consensus import unmoved
from .copies import Copies

CONSENTS = 4
"""How often a replica is asked for its consent whose token was void, though there is no value."""

Readable = Callable[[Value], bool]
"""Whether a value, with its bytes, is one that this process can read. What it can't read is absent."""


def always(value: Value) -> bool:
    return True


class Held(NamedTuple):
    """What a node holds: `token` of the very item, None if there is none."""

    free: bool
    """There is nothing, a stub, or something that can't be read."""
    token: Token | None = None


class Addition(Copies):
    """One addition under way."""

    def __init__(self, view: View, name: bytes, item: Item, readable: Readable):
        super().__init__(view, name)
        self.item, self._readable = item, readable
        self._incomplete = False
        """Whether a copy took no part: its node did not answer, or its slot was bumped a moment ago."""

    def decide(self) -> Flow[bool]:
        """Whether the item is on every replica that can be used."""
        truth = self.route.truth
        order = (truth, *(node for node in self.route.write if node != truth)) if truth else self.route.write
        usable = self.usable(order)
        if not usable or (truth and usable[0] != truth):
            return False
        self._incomplete = len(usable) < len(order)
        leased = yield from self._lease(usable)
        if leased is None:
            return False
        leases, won = leased
        while usable:
            decider = usable[0]
            mine = yield from self.decide_on(decider)
            if mine is not None:
                break
            usable.pop(0)
            yield from self._give_up({decider})
            if truth or not usable:
                raise NoReplica(epoch=self.view.epoch)  # It may have been stored.
        assert mine is not None
        if not mine.free:
            yield from self._release({node: token for node, token in won.items() if node in usable[1:]})
            return False
        for node in tuple(usable[1:]):
            consent = yield from self._consent(node, leases.get(node), decider, mine)
            if consent is None:
                usable.remove(node)
                yield from self._give_up({node})
            elif not consent:
                yield from self._take_back(decider, mine)
                return False
        if self._incomplete:
            return (yield from unmoved(self.view, {(node, self.slot) for node in usable}))
        return True

    def _lease(self, usable: list[str]) -> Flow[tuple[dict[str, Token], dict[str, Token]] | None]:
        """A token of each replica but the first, and which of them this process alone has; None if any of them has the
        item, or closed ones do."""
        asks: dict[str, list[Command]] = {node: [self.get(node, value=False, lease=True)] for node in usable[1:]}
        for node in self.route.write:
            if self.standing(node) is Standing.CLOSED:
                asks[node] = [self._look(node)]
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
            yield from self._give_up(silent)
        return tokens, won

    def decide_on(self, node: str) -> Flow[Held | None]:
        """None: that can't be told. Free: the item is there, and is ours."""
        store, look = self.store(node, self.item, add=True), self._look(node, value=True)
        alone = len(self.route.write) == 1
        if alone:  # It has all of the time, and no other copy follows by the token of what was stored.
            there, stored = (yield {node: [self.get(node, peek=True), store]})[node]
        else:
            stored, there = (yield Brief({node: [store, look]}))[node]
        if stored is Answer.DONE:
            return Held(True, there.token if isinstance(there, Value) else None)
        if isinstance(stored, NodeFailure):
            return None
        if stored is not Answer.NOT_STORED or isinstance(there, NodeFailure | Refused):
            return Held(False)
        held = yield from self._held(node, there)
        if held.free and alone:  # It has its token now, and what came between the two questions shows.
            there = yield from self.ask(node, look)
            held = Held(False) if isinstance(there, NodeFailure | Refused) else (yield from self._held(node, there))
        if not held.free or held.token is None:
            return Held(False)
        # A stub counts as absent: it is replaced by its token, which voids the filler's.
        stored, there = (yield {node: [self.store(node, self.item, held.token), self._look(node)]})[node]
        if isinstance(stored, NodeFailure):
            return None
        return Held(stored is Answer.DONE, there.token if isinstance(there, Value) else None)

    def _consent(self, node: str, token: Token | None, decider: str, mine: Held) -> Flow[bool | None]:
        """Whether the item is on that replica, or nothing has to be; None: that can't be told."""
        for _ in range(CONSENTS):
            if token is not None:
                reply = yield from self.ask(node, self.store(node, self.item, token))
                if reply is Answer.DONE:
                    return True
                if isinstance(reply, NodeFailure | Refused):
                    return None
            # The lease is void: given back by a process that came second, or there was a count, a delete, a set.
            reply = yield from self.ask(node, self.get(node, value=False, lease=True))
            if isinstance(reply, NodeFailure | Refused):
                return None
            held = yield from self._held(node, reply)
            if not held.free:
                return False
            token = held.token
            # Leased after the decision: whatever was counted or deleted before has to show.
            there = yield from self.ask(decider, self._look(decider))
            if token is None or not isinstance(there, Value) or there.token != mine.token:
                yield from self._release({node: token} if token and isinstance(reply, Value) and reply.won else {})
                return True
        return False

    def _held(self, node: str, reply: Reply) -> Flow[Held]:
        if not isinstance(reply, Value):
            return Held(True)
        if reply.stub:
            return Held(True, reply.token)
        return (yield from self.look_inside(node, reply))

    def look_inside(self, node: str, there: Value) -> Flow[Held]:
        """Whether what is there is a value; that takes its bytes."""
        if self._readable is always or self._readable(there):
            return Held(False)
        if there.data is not None:
            return Held(True, there.token)
        reply = yield from self.ask(node, self.get(node, token=True))
        if not isinstance(reply, Value):
            return Held(reply is Answer.MISS)
        return Held(reply.stub or not self._readable(reply), reply.token)

    def _take_back(self, node: str, held: Held) -> Flow[None]:
        if held.token is None:
            yield from self._give_up({node})
            return
        reply = yield from self.ask(node, self.remove(node, held.token))
        if isinstance(reply, NodeFailure | Refused):
            yield from self._give_up({node})

    def _release(self, tokens: dict[str, Token]) -> Flow[None]:
        drops: dict[str, list[Command]] = {node: [self.remove(node, token)] for node, token in tokens.items()}
        if drops:
            yield drops

    def _give_up(self, nodes: Iterable[str]) -> Flow[None]:
        """Raises NoReplica: others may still read an old copy."""
        self._incomplete = True
        if not (yield from self.disown(nodes)):
            raise NoReplica(epoch=self.view.epoch)

    def _look(self, node: str, value: bool = False) -> Get:
        # To look at what was just added is no use of it: no reader has asked for it yet (docs/adr/0011).
        return self.get(node, value=value, token=True, peek=True)
