"""A batch of items brought to the nodes that should hold them, each under a lease on every copy.

What `flows.fill` does for single commands, said in bytes: a snapshot has millions of items. A lease is had only where
nothing is stored and no other client is about to store, and anything that happens to the key from then on voids it. A
value from a file never takes the place of one that came after it, whatever is delayed, repeated or lost on the way; and
it goes nowhere while any copy is there: the others may have lost theirs, and an old value would be read beside a new
one (docs/adr/0012).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django_dcache.engines.inspection import BulkFill, BulkItem
from django_dcache.errors import NodeFailure, ProtocolViolation
from django_dcache.model.placement import Locate
from django_dcache.model.view import View

from .node_batch import NodeBatch, carry


class Routes(NamedTuple):
    """Where keys belong, as a table: those between two cuts go where the second one's go."""

    cuts: Sequence[int]
    routes: Sequence[tuple[str, ...]]
    """The nodes of each cut, and of what lies past the last."""
    locate: Locate
    hash_tags: bool

    @classmethod
    def of(cls, view: View) -> "Routes":
        cuts = view.placement.cuts
        routes = [view.placement.route(cut).first.write for cut in cuts]
        return cls(cuts, [*routes, routes[0]], view.placement.locate, view.hash_tags)


@dataclass(slots=True)
class Filled:
    """What became of a batch."""

    stored: int = 0
    bytes: int = 0
    present: int = 0
    """There already, or written or deleted meanwhile: left alone."""
    refused: int = 0
    """A node said no, for instance to a value above its limit."""
    busy: list[int] = field(default_factory=list)
    """Items that another client is about to store, or whose lease was lost with its holder."""
    failed: list[int] = field(default_factory=list)
    """Items that can't be stored now: a node did not answer, or a slot is in quarantine."""
    failures: dict[str, NodeFailure] = field(default_factory=dict)
    """By node."""


class Batch:
    """One batch: leases are asked for, then used or given back."""

    def __init__(self, items: Sequence[BulkItem], routes: Routes, nodes: dict[str, NodeBatch], fill: BulkFill):
        self._items, self._routes, self._nodes, self._fill = items, routes, nodes, fill
        self._wins = [0] * len(items)
        """How many leases of each item are ours."""
        self._wanted: list[int] = []
        """How many there have to be."""
        self._busy: set[int] = set()
        self._failed: set[int] = set()
        self._void: set[int] = set()
        self._refused: set[int] = set()

    def open(self, seconds: float) -> None:
        for node in self._nodes.values():
            node.open(seconds, len(self._items))

    def ask(self, lease_seconds: int) -> None:
        """For a lease on every copy of each item."""
        (cuts, routes, locate, hash_tags), nodes, wanted = self._routes, self._nodes, self._wanted
        ask_lease = self._fill.ask_lease
        asks: dict[str, list[bytes]] = {name: [] for name in nodes}
        for number, (name, _, _, _) in enumerate(self._items):
            point, slot = locate(name, hash_tags)
            route = routes[bisect_left(cuts, point)]
            wanted.append(len(route))
            if not route:  # All of its nodes are out of service.
                self._failed.add(number)
            for holder in route:
                node = nodes[holder]
                prefix = node.prefixes[slot]
                if prefix is None or node.failure:
                    self._failed.add(number)
                    continue
                node.asked[number] = key = prefix + name
                asks[holder].append(ask_lease(key, lease_seconds, node.first + number))
        for holder, commands in asks.items():
            nodes[holder].say(commands)

    def answer(self) -> None:
        """Use the leases of items of which every copy is ours to fill; give the others back."""
        for node in self._nodes.values():
            self._hear_leases(node)
        items, wins, wanted = self._items, self._wins, self._wanted
        store, give_back = self._fill.store, self._fill.give_back
        for node in self._nodes.values():
            commands: list[bytes] = []
            for number, token in node.tokens.items():
                key, opaque = node.asked[number], node.first + number
                if wins[number] == wanted[number]:
                    commands.append(store(key, items[number], token, opaque))
                else:
                    commands.append(give_back(key, token, opaque))
            node.say(commands)

    def _hear_leases(self, node: NodeBatch) -> None:
        if node.failure:
            self._failed.update(node.asked)
            return
        replies = self._fill.lease_replies(node.heard)
        first, wins = node.first, self._wins
        if len(replies) != len(node.asked):
            node.fail(ProtocolViolation(f"{self._fill.first_odd_line(node.heard)!r} about a lease"))
            self._failed.update(node.asked)
            return
        for number, (token, opaque, won, stub) in zip(node.asked, replies, strict=True):
            if int(opaque) != first + number:
                node.fail(ProtocolViolation("a reply to another command"))
                self._failed.update(node.asked)
                return
            if won:
                node.tokens[number] = token
                wins[number] += 1
            elif stub:
                self._busy.add(number)

    def outcome(self) -> Filled:
        for node in self._nodes.values():
            if node.failure:
                self._failed.update(node.asked)
            elif node.tokens:
                self._hear_stored(node)
            node.close()
        found = Filled(busy=sorted(self._busy - self._failed), failed=sorted(self._failed))
        found.failures = {name: node.failure for name, node in self._nodes.items() if node.failure}
        left = self._failed | self._busy
        found.refused = len(self._refused - left)
        left |= self._refused | self._void
        for number, (won, wanted) in enumerate(zip(self._wins, self._wanted, strict=True)):
            if won == wanted and number not in left:
                found.stored += 1
                found.bytes += len(self._items[number].data)
        found.present = len(self._items) - found.stored - found.refused - len(found.busy) - len(found.failed)
        return found

    def _hear_stored(self, node: NodeBatch) -> None:
        first = node.first
        for number, line in zip(node.tokens, node.heard.split(b"\r\n"), strict=False):
            said = self._fill.store_reply(line, first + number)
            if said == "stored":
                continue
            if said == "refused":
                self._refused.add(number)
            elif said == "void":
                self._void.add(number)
            else:
                node.fail(ProtocolViolation(repr(line[:80])))
                self._failed.update(node.asked)
                return

    def carry(self, deadline: float, clock: Callable[[], float]) -> None:
        carry(self._nodes.values(), deadline, clock)

    def abandon(self) -> None:
        for node in self._nodes.values():
            node.abandon()
