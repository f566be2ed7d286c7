"""Compare and swap: a value takes the place of another one, or none does.

The first copy that has the value decides, by its token; each other copy is brought to the same by its own token, or
deleted. A copy that was changed in between tells that another process may have decided there, by another view: then
this one takes back what it stored. So of two that swap the same value one succeeds at most (docs/adr/0041).
"""

from collections.abc import Callable

from ..commands import Answer, Command, Refused, Token, Value, is_item
from ..errors import NodeFailure, NoReplica
from ..model.view import View
from . import Flow, Item, Replies
from .consensus import unmoved
from .copies import Copies
from .read import fetch
from .write import write

Expected = Callable[[Value], bool]


def swap(view: View, name: bytes, expected: Expected, item: Item | None) -> Flow[bool]:
    """Store `item`, or delete the key where it is None, if what is there is `expected`; whether it was.

    Raises NoReplica where that can't be told; then other processes read what was there before, or nothing.
    """
    this = Swap(view, name, expected, item)
    if this.owed():
        raise NoReplica(epoch=view.epoch)
    if this.route.truth:
        return (yield from _while_moving(view, name, expected, item))
    return (yield from this.decide())


def _while_moving(view: View, name: bytes, expected: Expected, item: Item | None) -> Flow[bool]:
    """While a key is being copied only a delete is sure to find all of its copies. It comes after the comparison."""
    if item is not None:
        raise NoReplica("the key is moving to other nodes; try again once that is over", epoch=view.epoch)
    found = yield from fetch(view, [name])
    if found.unanswered:
        raise NoReplica(epoch=view.epoch)
    if name not in found or not expected(found[name]):
        return False
    return (yield from write(view, {name: None}))[name].acknowledged


class Swap(Copies):
    """One swap under way, of a key that stays where it is."""

    def __init__(self, view: View, name: bytes, expected: Expected, item: Item | None):
        super().__init__(view, name)
        self._expected, self._item = expected, item
        self._incomplete = False
        """Whether a copy took no part: its node did not answer, its slot was bumped a moment ago, or it differs."""
        self._given_up: set[str] = set()
        """Nodes whose copy no process reads any more."""

    def decide(self) -> Flow[bool]:
        usable = self.usable(self.route.write)
        self._incomplete = len(usable) < len(self.route.write)
        replies = (yield {node: [self.get(node, token=True)] for node in usable}) if usable else {}
        seen = {node: reply for node, (reply,) in replies.items()}
        silent = [node for node, reply in seen.items() if isinstance(reply, NodeFailure | Refused)]
        held = {node: reply for node, reply in seen.items() if is_item(reply)}
        if not held:
            if silent or not usable:
                raise NoReplica(epoch=self.view.epoch)
            return False
        # The first copy by the route, and not the one that answered first: of two processes both choose the same.
        leader = next(node for node in usable if node in held)
        others = [node for node in usable if node != leader and node not in silent]
        before = held[leader]
        if before.token is None or not self._expected(before):
            return False
        yield from self._give_up(silent)
        mine = yield from self._swap_on(leader, before.token)
        if mine is None:
            return False
        agreed = yield from self._follow(others, held, before)
        if agreed and self._incomplete:
            counted = set(usable) - self._given_up
            agreed = yield from unmoved(self.view, {(node, self.slot) for node in counted})
        if not agreed:
            yield from self._take_back(leader, mine, others)
        return agreed

    def _swap_on(self, node: str, token: Token) -> Flow[Value | Answer | None]:
        """What is on that copy now; None if it was changed meanwhile."""
        look = self.get(node, value=False, token=True)
        changed, there = (yield {node: [self._change(node, token), look]})[node]
        if isinstance(changed, NodeFailure):
            yield from self._give_up([node])
            raise NoReplica(epoch=self.view.epoch)  # It may have been swapped.
        if changed is not Answer.DONE:
            return None
        return there if isinstance(there, Value) else Answer.MISS

    def _follow(self, others: list[str], held: dict[str, Value], before: Value) -> Flow[bool]:
        """Whether no other process can have decided on one of these."""
        commands: dict[str, list[Command]] = {}
        for node in others:
            there = held.get(node)
            same = there and (there.flags, there.data) == (before.flags, before.data)
            token = there.token if there and same else None
            # By another view others may have decided here, before this copy was read.
            self._incomplete |= token is None
            commands[node] = [self._change(node, token) if token else self.remove(node)]
        replies = (yield commands) if commands else {}
        yield from self._give_up(failed(replies))
        return not any(reply is Answer.CONFLICT for (reply,) in replies.values())

    def _change(self, node: str, token: Token) -> Command:
        return self.remove(node, token) if self._item is None else self.store(node, self._item, token)

    def _take_back(self, leader: str, mine: Value | Answer, others: list[str]) -> Flow[None]:
        """What this process stored, and the other copies, which may have it by now."""
        if not isinstance(mine, Value) or mine.token is None:
            return
        commands: dict[str, list[Command]] = {leader: [self.remove(leader, mine.token)]}
        commands |= {node: [self.remove(node)] for node in others if node not in self._given_up}
        replies = yield commands
        yield from self._give_up(failed(replies))

    def _give_up(self, nodes: list[str]) -> Flow[None]:
        """Raises NoReplica: others may still read an old copy there."""
        self._incomplete |= bool(nodes)
        self._given_up.update(nodes)
        if nodes and not (yield from self.disown(nodes)):
            raise NoReplica(epoch=self.view.epoch)


def failed(replies: Replies) -> list[str]:
    """The nodes whose one reply never came, or was a refusal."""
    return [node for node, (reply,) in replies.items() if isinstance(reply, NodeFailure | Refused)]
