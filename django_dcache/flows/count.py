"""Counters: incr and decr. No number is handed out twice, and none below one that was handed out before.

A number is handed out once every copy that has the counter agreed to it: the first copy counts, and each other one is
brought from the number before to the same number, by its token. Processes whose views differ by a bump, or by a node
that was taken out or has returned, share at least one copy, and there only one of them comes first (docs/adr/0023).

A copy that holds another number than the one before is deleted, not waited for: processes that count at the same time
would wait for each other. The counter then has one copy less until it is set again.

    stable           any copy may count first, if those before it have no counter
    prepare          only `route.truth`; the others agree
    copy, flip, settle  only `route.truth`, and the others are voided. In flip it is pulled from O's first to N's first
"""

import re
from collections.abc import Iterable, Sequence

from ..commands import Answer, Arithmetic, Command, Get, Refused, Remove, Reply, Store, Value
from ..errors import NodeFailure, NoReplica
from ..model.placement import Route
from ..model.view import Standing, View
from ..values.plain import LEAST, MOST
from . import Brief, Flow, Pause, lost
from .consensus import bump, unmoved

TRIES = 20
"""How often a count begins again because the copy it was to begin with was changed meanwhile, or is behind."""
LOOKS = 5
"""How often a process looks at a copy that changes under its hands, or is about to be set up, before it deletes it."""
LOOK_WAIT = 0.001
PULLS = 20
PULL_WAIT = 0.002
_whole = re.compile(rb"-?\d{1,20} *").fullmatch


class NotANumber(Exception):
    """The stored value can't be counted with; it is `value`."""

    def __init__(self, value: Value):
        self.value = value


class _Failed(Exception):
    """There may be a copy that is wrong, or the number may be another process's: nothing is handed out."""


def count(view: View, name: bytes, delta: int) -> Flow[int | None]:
    """Add `delta`; the new number, or None if there is no such counter.

    Raises NoReplica where that can't be told, NotANumber, and OverflowError for a number or a delta beyond 64 bits.
    """
    if abs(delta) > MOST:
        raise OverflowError(f"delta {delta} takes more than 64 bits")
    route, slot = view.place(name)
    if any(view.standing(node, slot) is Standing.OWED for node in route.write + route.purge):
        raise NoReplica(epoch=view.epoch)  # Others still read there what this process could not disown.
    counter = _Counter(view, name, slot, route, delta)
    try:
        if not route.truth:
            return (yield from counter.agree(route.write))
        if not route.fill:
            return (yield from counter.agree_while_moving())
        if route.gate == route.truth and not (yield from _pull(view, name, slot, route)):
            return None
        return (yield from counter.count_alone())
    except _Failed:
        raise NoReplica(epoch=view.epoch) from None


class _Counter:
    """One count under way."""

    def __init__(self, view: View, name: bytes, slot: int, route: Route, delta: int):
        self._view, self._name, self._slot, self._route, self._delta = view, name, slot, route, delta
        self._alone = False
        """Whether a copy took no part: there was none, its node did not answer, or its slot was bumped a moment ago."""

    # By phase

    def agree(self, copies: Sequence[str]) -> Flow[int | None]:
        """Count on the first of `copies` that has the counter, and bring the others to the same number."""
        usable = [node for node in copies if self._view.standing(node, self._slot) is Standing.OPEN]
        self._alone |= len(usable) < len(copies)
        yield from self._void(node for node in copies if node not in usable)
        blind = self._delta >= 0
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

    def agree_while_moving(self) -> Flow[int | None]:
        """Prepare and settle, beside processes that are in stable already, or still."""
        truth = self._route.truth
        if self._view.standing(truth, self._slot) is not Standing.OPEN:
            return None
        yield from self._void(self._route.first.purge, purge=True)
        others = [node for node in self._route.write if node != truth]
        if self._route.first.purge or self._route.second.write:
            # Settle: a process that is in flip still pulls the counter from O's first, wherever that is.
            yield from self._void(others)
            self._alone |= bool(others)
            others = []
        number = yield from self.agree((truth, *others))
        if number is not None:
            yield from self._void(self._route.second.purge, purge=True)
        return number

    def count_alone(self) -> Flow[int | None]:
        """Copy and flip: sources before targets."""
        truth, number = self._route.truth, None
        if self._view.standing(truth, self._slot) is not Standing.OPEN:
            return None
        for part in (self._route.first, self._route.second):
            yield from self._void(node for node in part.write if node != truth)
            yield from self._void((node for node in part.purge if node != truth), purge=True)
            if truth in part.write:
                number = yield from self.agree((truth,))
                if number is None:
                    return None
        return number

    # Step by step

    def _first(
        self, usable: list[str], blind: bool
    ) -> Flow[tuple[str, int | None, dict[str, Reply | NodeFailure]] | None]:
        """The copy that counted, its number (None: there is no counter), and what the others held. None: begin again.

        `blind`: without having seen the number. The node refuses what is below zero, and what is no number.
        """
        head = usable[0]
        asks: dict[str, list[Command]] = {node: [self._get(node)] for node in usable}
        if blind:
            asks[head] = [self._arithmetic(head, self._delta)]
        replies = yield asks if blind else Brief(asks)  # Another copy may have to count in its place.
        seen = {node: reply for node, (reply,) in replies.items()}
        silent = {node for node in usable if _silent(asks[node][0], seen[node])}
        if len(silent) == len(usable) and not blind:
            raise _Failed  # Nothing was changed.
        if silent:
            yield from self._disown(silent)
            usable[:] = [node for node in usable if node not in silent]
            if head in silent and blind:
                raise _Failed  # Nobody knows whether it counted.
        reply = seen.pop(head)
        if blind and isinstance(reply, Value) and reply.data is not None:
            number = int(reply.data)
            if number < self._delta:
                yield from self._take_back(head)
            return head, number, seen
        if blind and reply is not Answer.MISS:
            return None  # Refused: begin again, and look first.
        seen[head] = reply
        for node in usable:
            found = seen[node]
            if not isinstance(found, Value) or (there := self._number(found)) is None:
                if node == self._route.truth:
                    break  # While the key moves no other copy may take over.
                continue
            wanted = there + self._delta
            if not LEAST <= wanted <= MOST:
                raise OverflowError(f"{there} + {self._delta} takes more than 64 bits")
            if not (yield from self._step(node, found, there, wanted)):
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
                    self._alone = True
                elif not isinstance(found, Value):
                    commands[node] = [self._get(node)]
                elif found.stub and look < LOOKS - 1:
                    behind = True  # The counter is being set up: it is about to come.
                    commands[node] = [self._get(node)]
                elif (there := self._number(found, strict=False)) is None:
                    commands[node] = [self._remove(node, found)]
                elif (ahead := self._ahead(there, number - self._delta)) > 0:
                    yield from self._drop_behind(leader, there)
                    return False
                elif ahead:
                    commands[node] = [self._remove(node, found)]
                else:
                    commands[node] = [self._towards(node, found, there, number)]
                if node in commands and look == LOOKS - 1:
                    commands[node] = [Remove(self._name, self._view.generation(node, self._slot))]
            if not commands:
                return True
            if behind:
                yield Pause(LOOK_WAIT * 2**look)
            replies = yield commands
            silent = {node for node, (command,) in commands.items() if _silent(command, replies[node][0])}
            if silent:
                yield from self._disown(silent)
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
                    self._alone |= type(command) is Remove
                else:
                    waiting[node] = None  # Another process changed it: look again.
        if waiting:
            raise _Failed
        return True

    def _drop_behind(self, leader: str, there: int) -> Flow[None]:
        """Void the leader if it is behind another copy for good: others know that it was bumped, and count there. Else
        they have only been faster, and the number was skipped."""
        (found,) = (yield {leader: [self._get(leader)]})[leader]
        if not isinstance(found, Value) or (here := self._number(found, strict=False)) is None:
            return
        if self._ahead(there, here) > 0:
            command = self._remove(leader, found)
            (reply,) = (yield {leader: [command]})[leader]
            if _silent(command, reply):
                yield from self._disown({leader})
                raise _Failed

    def _hand_out(self, number: int, usable: list[str]) -> Flow[int]:
        """With a copy missing, another process may know of a bump, and have counted there before the copy was lost."""
        if self._alone and not self._route.fill:
            if not (yield from unmoved(self._view, {(node, self._slot) for node in usable})):
                raise _Failed
        return number

    def _take_back(self, node: str) -> Flow[None]:
        """The addition passed 2^64."""
        command = self._arithmetic(node, -self._delta)
        (reply,) = (yield {node: [command]})[node]
        if _silent(command, reply):
            yield from self._disown({node})
        raise OverflowError(f"the number takes more than 64 bits with {self._delta} added")

    def _step(self, node: str, found: Value, there: int, wanted: int) -> Flow[bool]:
        """Whether the copy was still the one that was seen, and holds the wanted number now."""
        command = self._towards(node, found, there, wanted)
        (reply,) = (yield {node: [command]})[node]
        if _silent(command, reply):
            yield from self._disown({node})
            raise _Failed
        return _moved(reply)

    def _void(self, nodes: Iterable[str], purge: bool = False) -> Flow[None]:
        """Delete the copies of these nodes, where anybody can have stored any."""
        standings = {node: self._view.standing(node, self._slot) for node in nodes}
        removes: dict[str, list[Command]] = {
            node: [Remove(self._name, self._view.generation(node, self._slot))]
            for node, standing in standings.items()
            if standing in (Standing.OPEN, Standing.CLOSED)
        }
        replies = (yield removes) if removes else {}
        suspect = {node for node, (reply,) in replies.items() if lost(removes[node][0], reply, purge)}
        if suspect:
            yield from self._disown(suspect)

    def _disown(self, nodes: Iterable[str]) -> Flow[None]:
        self._alone = True
        suspect = {(node, self._slot) for node in (*nodes, *self._route.joining)}
        if not (yield from bump(self._view, suspect)):
            raise _Failed

    # Commands and what they found

    def _ahead(self, number: int, other: int) -> int:
        """By how much a copy with this number has counted further than one with the other."""
        return number - other if self._delta >= 0 else other - number

    def _get(self, node: str) -> Get:
        return Get(self._name, self._view.generation(node, self._slot), ttl=True, token=True)

    def _arithmetic(self, node: str, delta: int) -> Arithmetic:
        return Arithmetic(self._name, self._view.generation(node, self._slot), delta)

    def _remove(self, node: str, found: Value) -> Remove:
        return Remove(self._name, self._view.generation(node, self._slot), found.token)

    def _towards(self, node: str, found: Value, there: int, wanted: int) -> Command:
        """From the very item that was seen to the wanted number. Only the node's own addition keeps the TTL exactly."""
        if there >= 0 and wanted >= 0:
            return self._arithmetic(node, wanted - there)._replace(token=found.token)
        generation = self._view.generation(node, self._slot)
        return Store(self._name, generation, b"%d" % wanted, found.flags, found.ttl, token=found.token)

    def _number(self, found: Value, strict: bool = True) -> int | None:
        """None: absent (a stub, or about to expire: a TTL of 0 would mean for ever). `strict`: raises NotANumber."""
        if found.stub or found.data is None or found.ttl == 0:
            return None
        if _whole(found.data) and LEAST <= (number := int(found.data)) <= MOST:
            return number
        if strict:
            raise NotANumber(found)
        return None


def _silent(command: Command, reply: Reply | NodeFailure) -> bool:
    """Whether nothing can be told of the copy."""
    return lost(command, reply) or (isinstance(reply, Refused) and not reply.reason.startswith("CLIENT_ERROR"))


def _moved(reply: Reply | NodeFailure) -> bool:
    return reply is Answer.DONE or isinstance(reply, Value)


def _pull(view: View, name: bytes, slot: int, route: Route) -> Flow[bool]:
    """Flip: move the counter from O's first to N's first, so that it can be counted there. False if there is none.

    The source goes away only as the very item that was copied (by its token): a process one phase behind may be
    counting on it still, and a number it handed out must not be handed out again.
    """
    source, target = route.fill[0], route.truth
    if view.standing(target, slot) is not Standing.OPEN or view.standing(source, slot) is not Standing.OPEN:
        return False
    there, here = view.generation(target, slot), view.generation(source, slot)
    for attempt in range(PULLS):
        (copy,) = (yield {target: [Get(name, there, lease=True)]})[target]
        (old,) = (yield {source: [Get(name, here, ttl=True, token=True)]})[source]
        if isinstance(copy, NodeFailure) or isinstance(old, NodeFailure) or not isinstance(copy, Value):
            return False
        gone = not isinstance(old, Value) or old.stub or old.data is None or old.ttl == 0
        if copy.stub and not copy.won:
            if attempt == PULLS - 2:  # Whoever holds the lease died, or will find it void.
                yield {target: [Remove(name, there, copy.token)]}
            yield Pause(PULL_WAIT)
        elif copy.won and gone:
            yield {target: [Remove(name, there, copy.token)]}
            return False
        elif gone:
            return True
        elif copy.won:
            store = Store(name, there, old.data, old.flags, old.ttl, token=copy.token)
            (stored,) = (yield {target: [store]})[target]
            if stored is Answer.DONE and (yield from _retire(view, name, source, here, old, target, there)):
                return True
        elif copy.data != old.data:
            yield {target: [Remove(name, there)]}
        elif (yield from _retire(view, name, source, here, old, target, there)):
            return True
    return False


def _retire(view: View, name: bytes, source: str, here: int, old: Value, target: str, there: int) -> Flow[bool]:
    """Delete the source's item if it is still the one that was copied; else take the copy back."""
    (reply,) = (yield {source: [Remove(name, here, old.token)]})[source]
    if reply is Answer.DONE:
        return True
    yield {target: [Remove(name, there)]}
    return False
