"""A batch of items brought to the nodes that should hold them, each under a lease on every copy.

What `flows.fill` does for single commands, said in bytes: a snapshot has millions of items. A lease is had only where
nothing is stored and nobody else is about to store, and anything that happens to the key from then on voids it. So a
value from a file never takes the place of one that came after it, whatever is delayed, repeated or lost on the way; and
it goes nowhere while any copy is there: the others may have lost theirs, and an old value would be read beside a new
one (docs/adr/0012).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django_dcache.errors import NodeFailure, ProtocolViolation
from django_dcache.model.keys import digest, point_and_slot
from django_dcache.model.view import View

from .node_batch import Lane, carry

_lease = re.compile(rb"^HD c(\d{1,20}) O(\d{1,10})( W)?( Z)?\r$", re.MULTILINE)


class Ring(NamedTuple):
    """Where keys belong, as a table: those between two cuts go where the second one's go."""

    cuts: Sequence[int]
    routes: Sequence[tuple[str, ...]]
    """The nodes of each cut, and of what lies past the last."""
    hash_tags: bool

    @classmethod
    def of(cls, view: View) -> "Ring":
        cuts = view.placement.cuts
        routes = [view.placement.route(cut).first.write for cut in cuts]
        return cls(cuts, [*routes, routes[0]], view.hash_tags)


class Item(NamedTuple):
    """`ttl` as the node takes it."""

    name: bytes
    flags: int
    ttl: int
    data: bytes


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
    """Items that somebody else is about to store, or whose lease was lost with its holder."""
    failed: list[int] = field(default_factory=list)
    """Items that can't be stored now: a node did not answer, or a slot is in quarantine."""
    failures: dict[str, NodeFailure] = field(default_factory=dict)
    """By node."""


class Batch:
    """One batch: leases are asked for, then used or given back."""

    def __init__(self, items: Sequence[Item], ring: Ring, lanes: dict[str, Lane]):
        self._items, self._ring, self._lanes = items, ring, lanes
        self._wins = [0] * len(items)
        """How many leases of each item are ours."""
        self._wanted: list[int] = []
        """How many there have to be."""
        self._busy: set[int] = set()
        self._failed: set[int] = set()
        self._void: set[int] = set()
        self._refused: set[int] = set()

    def open(self, seconds: float) -> None:
        for lane in self._lanes.values():
            lane.open(seconds, len(self._items))

    def ask(self, lease_seconds: int) -> None:
        """For a lease on every copy of each item."""
        (cuts, routes, hash_tags), lanes, wanted = self._ring, self._lanes, self._wanted
        asks: dict[str, list[bytes]] = {node: [] for node in lanes}
        for number, (name, _, _, _) in enumerate(self._items):
            point, slot = point_and_slot(digest(name, hash_tags))
            route = routes[bisect_left(cuts, point)]
            wanted.append(len(route))
            if not route:  # All of its nodes are out of service.
                self._failed.add(number)
            for node in route:
                lane = lanes[node]
                mark = lane.marks[slot]
                if mark is None or lane.failure:
                    self._failed.add(number)
                    continue
                lane.asked[number] = key = mark + name
                asks[node].append(b"mg %b c N%d O%d\r\n" % (key, lease_seconds, lane.first + number))
        for node, commands in asks.items():
            lanes[node].say(commands)

    def answer(self) -> None:
        """Use the leases of items of which every copy is ours to fill; give the others back."""
        for lane in self._lanes.values():
            self._hear_leases(lane)
        items, wins, wanted = self._items, self._wins, self._wanted
        for lane in self._lanes.values():
            commands: list[bytes] = []
            for number, token in lane.tokens.items():
                key, opaque = lane.asked[number], lane.first + number
                if wins[number] == wanted[number]:
                    _, flags, ttl, data = items[number]
                    head = b"ms %b %d F%d T%d C%b O%d\r\n" % (key, len(data), flags, ttl, token, opaque)
                    commands.append(b"%b%b\r\n" % (head, data))
                else:
                    commands.append(b"md %b C%b O%d\r\n" % (key, token, opaque))
            lane.say(commands)

    def _hear_leases(self, lane: Lane) -> None:
        if lane.failure:
            self._failed.update(lane.asked)
            return
        replies = _lease.findall(lane.heard)
        first, wins = lane.first, self._wins
        if len(replies) != len(lane.asked):
            lane.fail(ProtocolViolation(f"{_odd(lane.heard)!r} about a lease"))
            self._failed.update(lane.asked)
            return
        for number, (token, opaque, won, stub) in zip(lane.asked, replies, strict=True):
            if int(opaque) != first + number:
                lane.fail(ProtocolViolation("a reply to another command"))
                self._failed.update(lane.asked)
                return
            if won:
                lane.tokens[number] = token
                wins[number] += 1
            elif stub:
                self._busy.add(number)

    def outcome(self) -> Filled:
        for lane in self._lanes.values():
            if lane.failure:
                self._failed.update(lane.asked)
            elif lane.tokens:
                self._hear_stored(lane)
            lane.close()
        found = Filled(busy=sorted(self._busy - self._failed), failed=sorted(self._failed))
        found.failures = {node: lane.failure for node, lane in self._lanes.items() if lane.failure}
        left = self._failed | self._busy
        found.refused = len(self._refused - left)
        left |= self._refused | self._void
        for number, (won, wanted) in enumerate(zip(self._wins, self._wanted, strict=True)):
            if won == wanted and number not in left:
                found.stored += 1
                found.bytes += len(self._items[number].data)
        found.present = len(self._items) - found.stored - found.refused - len(found.busy) - len(found.failed)
        return found

    def _hear_stored(self, lane: Lane) -> None:
        first = lane.first
        for number, line in zip(lane.tokens, lane.heard.split(b"\r\n"), strict=False):
            word, _, opaque = line.partition(b" O")
            if word == b"HD" and opaque == b"%d" % (first + number):
                continue
            if word.startswith(b"SERVER_ERROR"):
                self._refused.add(number)
            elif word in (b"EX", b"NF", b"NS") and opaque == b"%d" % (first + number):
                self._void.add(number)
            else:
                lane.fail(ProtocolViolation(repr(line[:80])))
                self._failed.update(lane.asked)
                return

    def carry(self, deadline: float, clock: Callable[[], float]) -> None:
        carry(self._lanes.values(), deadline, clock)

    def abandon(self) -> None:
        for lane in self._lanes.values():
            lane.abandon()


def _odd(heard: bytes) -> bytes:
    """The first line that says something else."""
    return next((line[:80] for line in heard.split(b"\r\n") if not _lease.match(line + b"\r")), b"")
