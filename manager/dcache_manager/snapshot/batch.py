"""Batches of items brought to the nodes that should hold them, each under a lease on every copy (design §6).

What `flows.fill` does for single commands, said in bytes: a snapshot has millions of items. A lease is had only where
nothing is stored and nobody else is about to store, and anything that happens to the key from then on voids it. So a
value from a file never takes the place of one that came after it, whatever is delayed, repeated or lost on the way; and
it goes nowhere while any copy is there: the others may have lost theirs, and an old value would be read beside a new
one. Cheaper `add`s would do neither, and a lost one would need a bump (docs/adr/0007, docs/adr/0010).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django_dcache.direct.known import begin
from django_dcache.errors import Conflict, NodeFailure, NoMajority, ProtocolViolation
from django_dcache.fleet import Fleet
from django_dcache.keys import SLOTS, digest, point_and_slot, wire_key
from django_dcache.state import FleetState
from django_dcache.topology import Phase
from django_dcache.view import WHOLE_NODE, Standing, View

from .lane import Lane, Marks, carry

_lease = re.compile(rb"^HD c(\d{1,20}) O(\d{1,10})( W)?( Z)?\r$", re.MULTILINE)


class Item(NamedTuple):
    """`ttl` as `wire.wire_ttl` makes it."""

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


class Filler:
    """Fills batches under the present epoch."""

    def __init__(self, fleet: Fleet):
        """Raises Conflict while keys are moving."""
        self._fleet = fleet
        view = fleet.proven_view()
        if view.state.topology.phase is not Phase.STABLE:
            raise Conflict("keys are moving; load when the resize has ended", epoch=view.epoch)
        self._epoch = view.epoch
        self._state: FleetState | None = None
        self._marks: dict[str, Marks] = {}
        self.lease_seconds = int(fleet.options.operation) + 3
        """Longer than a batch takes; after that, what a killed load left behind is gone."""
        self._cuts = view.placement.cuts
        routes = [view.placement.route(cut).first.write for cut in self._cuts]
        self._routes = [*routes, routes[0]]

    def fill(self, items: Sequence[Item]) -> Filled:
        """Raises Conflict when the fleet has moved on, NoMajority when its state can't be proven any more."""
        fleet = self._fleet
        began = begin(fleet)
        view = fleet.view
        if not fleet.proven:
            raise NoMajority
        if view.epoch != self._epoch:
            raise Conflict(f"the load began under epoch {self._epoch}", epoch=view.epoch)
        timeout, clock = fleet.options.timeout, fleet.clock
        batch = _Batch(items, self._lanes(view))
        try:
            batch.open(timeout / 2)
            batch.ask(self._cuts, self._routes, view.hash_tags, self.lease_seconds)
            batch.carry(began + timeout, clock)
            batch.answer()
            batch.carry(began + fleet.options.operation, clock)
            return batch.outcome()
        except BaseException:
            batch.abandon()
            raise

    def _lanes(self, view: View) -> dict[str, Lane]:
        if view.state is not self._state:
            self._state = view.state
            self._marks = {
                node: [wire_key(b"", view.generation(node, slot)) for slot in range(SLOTS)]
                for node in view.state.topology.nodes
            }
        lanes = {}
        for node, marks in self._marks.items():
            pool = self._fleet.transport.pool(node)
            if pool:
                lanes[node] = Lane(pool, marks)
        for node, slot in {*view.bumps, *view.debts}:
            slots = range(SLOTS) if slot == WHOLE_NODE else (slot,)
            closed = {slot for slot in slots if view.standing(node, slot) is not Standing.OPEN}
            if closed and node in lanes:
                lane = lanes[node]
                lane.marks = [None if slot in closed else mark for slot, mark in enumerate(lane.marks)]
        return lanes


class _Batch:
    """One batch: leases are asked for, then used or given back."""

    def __init__(self, items: Sequence[Item], lanes: dict[str, Lane]):
        self._items, self._lanes = items, lanes
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

    def ask(self, cuts: Sequence[int], routes: Sequence[tuple[str, ...]], hash_tags: bool, lease_seconds: int) -> None:
        """For a lease on every copy of each item."""
        lanes, wanted = self._lanes, self._wanted
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
