"""One count: the first copy counts, and each other one is brought from the number before to the same number.

By its token, so that processes whose views differ by a bump, or by a node that was taken out or has returned, can't
both succeed: they share at least one copy, and there only one of them comes first (docs/adr/0023).

A copy that holds another number than the one before is deleted, not waited for: processes that count at the same time
would wait for each other. The counter then has one copy less until it is set again.
"""

import re
from collections.abc import Iterable, Sequence

from ..commands import Answer, Command, Get, Refused, Remove, Reply, Value, is_copyable
from ..errors import NodeFailure
from ..model.view import Standing, View
from ..values.plain import LEAST, MOST
from . import Brief, Flow, Item, Pause, lost
from .consensus import unmoved
from .copies import Copies

TRIES = 20
"""How often a count begins again because the copy it was to begin with was changed meanwhile, or is behind."""
LOOKS = 5
"""How often a process looks at a copy that changes under its hands, or is about to be set up, before it deletes it."""
LOOK_WAIT = 0.001
COUNTED_BY_NODES = 2**63
"""Numbers below it every engine can count with; larger ones are replaced as a whole."""
_whole = re.compile(rb"-?\d{1,20} *").fullmatch


class NotANumber(Exception):
    """The stored value can't be counted with; it is `value`."""

    def __init__(self, value: Value):
        self.value = value


class Undecided(Exception):
    """There may be a copy that is wrong, or the number may be another process's: nothing is handed out."""


class Count(Copies):
    """One count under way."""

    def __init__(self, view: View, name: bytes, delta: int):
        super().__init__(view, name)
        self.delta = delta
        self.incomplete = False
        """Whether a copy took no part: there was none, its node did not answer, or its slot was bumped a moment ago."""

    def agree(self, copies: Sequence[str]) -> Flow[int | None]:
        """Count on the first of `copies` that has the counter, and bring the others to the same number."""
        usable = self.usable(copies)
        self.incomplete |= len(usable) < len(copies)
        yield from self.void(node for node in copies if node not in usable)
        blind = self.delta >= 0
        for _ in range(TRIES):
            if not usable:
                return None
            found = yield from self._first(usable, blind)
            if found is None:
                if not blind:
                    yield Pause(LOOK_WAIT)
                blind = False
                continue
            leader, number, seen = found
            if number is None:
                return None
            if (yield from self._bring(usable, leader, number, seen)):
                return (yield from self._hand_out(number, usable))
        return None

    def void(self, nodes: Iterable[str], purge: bool = False) -> Flow[None]:
        """Delete the copies of these nodes, where a process can have stored any."""
        removes: dict[str, list[Command]] = {
            node: [self.remove(node)] for node in nodes if self.standing(node) in (Standing.OPEN, Standing.CLOSED)
        }
        replies = (yield removes) if removes else {}
        missed = {node for node, (reply,) in replies.items() if lost(removes[node][0], reply, purge)}
        if missed:
            yield from self.give_up(missed)

    def give_up(self, nodes: Iterable[str]) -> Flow[None]:
        """Disown the copies of these nodes. Raises Undecided."""
        self.incomplete = True
        if not (yield from self.disown(nodes)):
            raise Undecided

    def _first(
        self, usable: list[str], blind: bool
    ) -> Flow[tuple[str, int | None, dict[str, Reply | NodeFailure]] | None]:
        """The copy that counted, its number (None: there is no counter), and what the others held. None: begin again.

        `blind`: without having seen the number. The node refuses what is below zero, and what is no number.
        """
        head = usable[0]
        asks: dict[str, list[Command]] = {node: [self._look(node)] for node in usable}
        if blind:
            asks[head] = [self.arithmetic(head, self.delta)]
        # Another copy may have to count in its place.
        replies = yield Brief(asks) if len(usable) > 1 and not blind else asks
        seen = {node: reply for node, (reply,) in replies.items()}
        silent = {node for node in usable if unknown(asks[node][0], seen[node])}
        if len(silent) == len(usable) and not blind:
            raise Undecided  # Nothing was changed.
        if silent:
            yield from self.give_up(silent)
            usable[:] = [node for node in usable if node not in silent]
            if head in silent and blind:
                raise Undecided  # It may have counted.
        reply = seen.pop(head)
        if blind and isinstance(reply, Value) and reply.data is not None:
            number = int(reply.data)
            if number < self.delta:
                yield from self._take_back(head)
            return head, number, seen
        if blind and reply is not Answer.MISS:
            return None  # Refused: begin again, and look first.
        seen[head] = reply
        for node in usable:
            found = seen[node]
            if not isinstance(found, Value) or (there := self._number(found)) is None:
                if node == self.route.truth:
                    break  # While the key moves no other copy may take over.
                continue
            wanted = there + self.delta
            if not LEAST <= wanted <= MOST:
                raise OverflowError(f"{there} + {self.delta} takes more than 64 bits")
            if not (yield from self._change(node, self._towards(node, found, there, wanted))):
                return None
            del seen[node]
            return node, wanted, seen
        return head, None, seen

    def _bring(self, usable: list[str], leader: str, number: int, seen: dict[str, Reply | NodeFailure]) -> Flow[bool]:
        """Bring each other copy from the number before to this one. False: the leader is behind one of them."""
        waiting = {node: seen.get(node) for node in usable if node != leader}
        fresh: set[str] = set()
        """Read after the leader had counted: a miss before that may be a counter that is being set up."""
        for look in range(LOOKS):
            commands: dict[str, list[Command]] = {}
            behind = False
            for node, found in list(waiting.items()):
                if found is Answer.MISS and node in fresh:
                    del waiting[node]
                    self.incomplete = True
                elif not isinstance(found, Value):
                    commands[node] = [self._look(node)]
                elif found.stub and look < LOOKS - 1:
                    behind = True  # The counter is being set up: it is about to come.
                    commands[node] = [self._look(node)]
                elif (there := number_in(found)) is None:
                    commands[node] = [self.remove(node, found.token)]
                elif (ahead := self.ahead(there, number - self.delta)) > 0:
                    yield from self._drop_behind(leader, there)
                    return False
                elif ahead:
                    commands[node] = [self.remove(node, found.token)]
                else:
                    commands[node] = [self._towards(node, found, there, number)]
                if node in commands and look == LOOKS - 1:
                    commands[node] = [self.remove(node)]
            if not commands:
                return True
            if behind:
                yield Pause(LOOK_WAIT * 2**look)
            replies = yield commands
            silent = {node for node, (command,) in commands.items() if unknown(command, replies[node][0])}
            if silent:
                yield from self.give_up(silent)
                usable[:] = [node for node in usable if node not in silent]
            for node, (command,) in commands.items():
                (reply,) = replies[node]
                if node in silent:
                    del waiting[node]
                elif type(command) is Get:
                    waiting[node] = reply
                    fresh.add(node)
                elif _moved(reply) or (type(command) is Remove and command.token is None):
                    del waiting[node]
                    self.incomplete |= type(command) is Remove
                else:
                    waiting[node] = None  # Another process changed it: look again.
        if waiting:
            raise Undecided
        return True

    def _drop_behind(self, leader: str, there: int) -> Flow[None]:
        """Void the leader if it is behind another copy for good: others know that it was bumped, and count there. Else
        they have only been faster, and the number was skipped."""
        found = yield from self.ask(leader, self._look(leader))
        if not isinstance(found, Value) or (here := number_in(found)) is None:
            return
        if self.ahead(there, here) > 0:
            yield from self._change(leader, self.remove(leader, found.token))

    def _change(self, node: str, command: Command) -> Flow[bool]:
        """Whether the copy was still the one that was seen, and is as wanted now."""
        reply = yield from self.ask(node, command)
        if unknown(command, reply):
            yield from self.give_up({node})
            raise Undecided
        return _moved(reply)

    def _take_back(self, node: str) -> Flow[None]:
        """The addition passed 2^64."""
        command = self.arithmetic(node, -self.delta)
        if unknown(command, (yield from self.ask(node, command))):
            yield from self.give_up({node})
        raise OverflowError(f"the number takes more than 64 bits with {self.delta} added")

    def _hand_out(self, number: int, usable: list[str]) -> Flow[int]:
        """With a copy missing, another process may know of a bump, and have counted there before the copy was lost."""
        if self.incomplete and not self.route.fill:
            if not (yield from unmoved(self.view, {(node, self.slot) for node in usable})):
                raise Undecided
        return number

    def ahead(self, number: int, other: int) -> int:
        """By how much a copy with this number has counted further than one with the other."""
        return number - other if self.delta >= 0 else other - number

    def _look(self, node: str) -> Get:
        return self.get(node, ttl=True, token=True)

    def _towards(self, node: str, found: Value, there: int, wanted: int) -> Command:
        """From the very item that was seen to the wanted number. Only the node's own addition keeps the TTL exactly."""
        if 0 <= min(there, wanted) and max(there, wanted) < COUNTED_BY_NODES:
            return self.arithmetic(node, wanted - there, found.token)
        return self.store(node, Item(found.flags, b"%d" % wanted, found.ttl), found.token)

    def _number(self, found: Value) -> int | None:
        """The copy's number; None if it is absent. Raises NotANumber."""
        number = number_in(found)
        if number is None and is_copyable(found):
            raise NotANumber(found)
        return number


def number_in(found: Value) -> int | None:
    """None: it holds no number, or nothing."""
    if is_copyable(found) and _whole(found.data or b"") and LEAST <= (number := int(found.data or b"")) <= MOST:
        return number
    return None


def unknown(command: Command, reply: Reply | NodeFailure) -> bool:
    """Whether nothing can be told of the copy."""
    return lost(command, reply) or (isinstance(reply, Refused) and not reply.unchanged)


def _moved(reply: Reply | NodeFailure) -> bool:
    return reply is Answer.DONE or isinstance(reply, Value)
