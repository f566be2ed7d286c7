"""Where keys are and whom to ask, worked out once for each point of the ring and never for a key.

A key is placed by arithmetic: its name, a digest, a look at its part of the ring. A million keys take no memory. The
first ones asked for after each proof are remembered: a site asks for what is hot again and again (docs/adr/0034).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import takewhile

from ..errors import InvalidKey
from ..model import keys
from ..model.generations import NONE, WHOLE_NODE, Generations
from ..model.locate import locate_many
from ..model.stamps import StampedName
from ..model.topology import Phase, server_of
from ..model.view import Standing, View
from ..transport.nodes import Transport
from ..transport.pool import Pool
from . import speed
from .speed import locate


@dataclass(frozen=True, slots=True, eq=False)
class CopyPlan:
    """One copy of the keys at a point. There is one object for each node: it is itself what keys are grouped by."""

    node: str
    pool: Pool
    generations: Generations | None
    """None if no slot of the node was ever bumped."""

    def key(self, name: bytes, slot: int) -> bytes:
        """The wire key."""
        return name if self.generations is None else keys.wire_key(name, self.generations.of(slot))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operation on a key at this point asks in its first round, if nothing is in doubt."""

    read: tuple[CopyPlan, ...]
    """The copies to read, one after the other; others may follow that need the flow."""
    complete: bool
    """`read` has them all: if each misses, it is a miss."""
    single: bool
    """There is one copy, and `read` has it: a value that is found is the value, and a miss is a miss."""
    write: tuple[CopyPlan, ...]
    """The copies to write. Empty while the keys move."""
    written: CopyPlan | None
    """The copy to write, if there is one."""
    exceptions: frozenset[int]
    """Slots that are bumped, or whose bump is owed: keys in them need the flow."""


Placed = tuple[bytes, int, Plan]
"""Name, slot and plan of a key."""
Group = tuple[CopyPlan, list[bytes], list[str]]
"""What one node is asked: wire keys, and the made keys they are of."""
PARTS = 8
"""Of the ring, at least, for each of its points."""
RECENT_KEYS = 1024
"""Remembered with their places, at most: the first that are asked for after a proof of the view."""
NOWHERE = Plan((), False, False, (), None, frozenset())
"""Of a key that needs the flow."""


class Plans:
    """The plans of one view. They hold as long as its topology, generations and bumps do."""

    def __init__(self, view: View, transport: Transport):
        self.view = view
        self._transport, self._points = transport, view.placement.cuts
        self._packed = speed.packed(self._points)
        self._uncommon_keys = bool(view.prefixes) or view.hash_tags or view.placement.by_name
        self._exceptions: dict[str, set[int]] = defaultdict(set)
        for node, slot in (*view.bumps, *view.debts, *((node, WHOLE_NODE) for node in view.shunned)):
            if view.standing(node, slot) is not Standing.OPEN:
                self._exceptions[node].add(slot)
        self._copy: dict[str, CopyPlan] = {}
        self.recent: dict[str, Placed] = {}
        """Places that were asked for since the view was proven."""
        self.single = all(layout.replicas == 1 for layout in view.state.topology.layouts)
        """Every key has one copy."""
        self.stable = view.state.topology.phase is Phase.STABLE
        """No key moves."""
        # One more than there are points: the ring wraps.
        self._plans: list[Plan | None] = [None] * (len(self._points) + 1)
        # The ring in equal parts, small enough that most of them have one plan: it is found without a search.
        self._shift = max(0, 32 - (PARTS * len(self._points)).bit_length())
        self._parts: list[Plan | None] = [None] * (2**32 >> self._shift)
        # For the compiled `group`: the number of each point's reader, and what precedes the names on that node.
        self._owners = bytearray(b"\xff\xff" * len(self._plans))
        self._numbers = {node: number for number, node in enumerate(view.state.topology.nodes)}
        self._marks = [keys.wire_key(b"", view.generation(node, WHOLE_NODE)) for node in self._numbers]

    def place(self, made_key: str) -> Placed:
        """(name, slot, plan) of a key. One that is not legal needs the flow, too, which says why."""
        return self.recent.get(made_key) or self._place(made_key)

    def _place(self, made_key: str) -> Placed:
        located = None if self._uncommon_keys else locate(made_key)
        if located is None:
            placed = self._place_uncommon(made_key)
        else:
            name, point, slot = located
            plan = self._parts[point >> self._shift] or self._plan(point)
            placed = name, slot, NOWHERE if slot in plan.exceptions else plan
        self._remember(((made_key, placed),))
        return placed

    def _remember(self, places: Iterable[tuple[str, Placed]]) -> None:
        if len(self.recent) < RECENT_KEYS:
            self.recent.update(places)

    def place_many(self, made_keys: Collection[str]) -> list[Placed]:
        """The same for each."""
        recent = [*filter(None, map(self.recent.get, made_keys))]
        if len(recent) == len(made_keys):
            return recent
        located = None if self._uncommon_keys else locate_many(made_keys)
        if located is None:
            return list(map(self.place, made_keys))
        parts, shift = self._parts, self._shift
        plans = [(name, slot, parts[point >> shift] or self._plan(point)) for name, point, slot in located]
        placed = [(name, slot, NOWHERE if slot in plan.exceptions else plan) for name, slot, plan in plans]
        self._remember(zip(made_keys, placed, strict=True))
        return placed

    def _plan(self, point: int) -> Plan:
        """That of the keys at this point."""
        index = bisect_left(self._points, point)
        plan = self._plans[index] or self._work_out(index)
        part = point >> self._shift
        if all(bisect_left(self._points, edge << self._shift) == index for edge in (part, part + 1)):
            self._parts[part] = plan
        return plan

    def group(self, made_keys: list[str]) -> list[Group] | None:
        """What each node is asked to read first; None if any of the keys needs the flow."""
        while speed.group and not self._uncommon_keys:
            groups = speed.group(made_keys, self._packed, self._owners, self._marks)
            if isinstance(groups, list):
                return [(self._copy[node], *keys) for node, keys in zip(self._numbers, groups, strict=True) if keys[0]]
            if not self._own(made_keys[groups]):
                break
        placed = self.place_many(made_keys)
        if self._uncommon_keys and any(isinstance(name, StampedName) for name, _, _ in placed):
            return None
        found: dict[CopyPlan, tuple[list[bytes], list[str]]] = defaultdict(lambda: ([], []))
        for made_key, (name, slot, plan) in zip(made_keys, placed, strict=True):
            if not plan.read:
                return None
            copy = plan.read[0]
            wire_keys, asked = found[copy]
            wire_keys.append(name if copy.generations is None else copy.key(name, slot))
            asked.append(made_key)
        return [(copy, wire_keys, asked) for copy, (wire_keys, asked) in found.items()]

    def _own(self, made_key: str) -> bool:
        """Tell the compiled `group` who is asked for keys at the point of this one; whether that is as simple."""
        located = locate(made_key)
        if located is None:
            return False
        _, point, _ = located
        plan = self._plan(point)
        if not plan.read or plan.exceptions or (plan.read[0].generations or NONE).above:
            return False
        memoryview(self._owners).cast("H")[bisect_left(self._points, point)] = self._numbers[plan.read[0].node]
        return True

    def _place_uncommon(self, made_key: str) -> Placed:
        """The same with hash tags, on a classic client's ring, for long keys, and below prefixes that were bumped."""
        view = self.view
        try:
            name = view.name(made_key)
        except InvalidKey:
            return b"", 0, NOWHERE
        point, slot = view.placement.position(name, view.hash_tags)
        plan = self._plan(point)
        if slot in plan.exceptions:
            plan = NOWHERE
        elif isinstance(name, StampedName):  # What is read has to be looked at, and a write is more than one command.
            plan = replace(plan, single=False, write=(), written=None)
        return name, slot, plan

    def _work_out(self, index: int) -> Plan:
        view, points = self.view, self._points
        route = view.placement.route(points[index] if index < len(points) else points[-1] + 1)
        order = view.read_order(route)
        read = self._copies(takewhile(lambda node: node not in route.joining, order))
        write = self._copies(route.first.write) if not (route.joining or route.first.purge) else ()
        if len(write) < len(route.first.write):
            write = ()
        complete = 0 < len(read) == len(order)
        exceptions: set[int] = set().union(*(self._exceptions[copy.node] for copy in (*read, *write)))
        single, written = complete and len(read) == 1, write[0] if len(write) == 1 else None
        plan = self._plans[index] = Plan(read, complete, single, write, written, frozenset(exceptions))
        return plan

    def _copies(self, nodes: Iterable[str]) -> tuple[CopyPlan, ...]:
        """Those before the first one that needs the flow."""
        found: list[CopyPlan] = []
        for node in nodes:
            copy = self._copy.get(node)
            if copy is None:
                pool = self._transport.pool(node)
                if pool is None or pool.engine.hot is None:
                    break
                if server_of(node) != node or WHOLE_NODE in self._exceptions[node]:
                    break
                generations = self.view.state.generations.get(node, NONE)
                copy = self._copy[node] = CopyPlan(node, pool, None if generations == NONE else generations)
            found.append(copy)
        return tuple(found)
