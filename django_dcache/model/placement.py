"""Where the copies of a key are, by phase. Pure: a topology and a point on the ring in, a Route out.

O = replicas by the old ring, N = by the new one, J = N∖O joining, L = O∖N leaving, B = O∩N staying
(docs/explanation/protocol.md#the-four-phase-move):

    phase     read               first round        second round
    stable    O                  write O            –
    prepare   O                  write O            purge J
    copy      N, J filled of O   write O            purge J
    flip      N, J filled of O   purge L, write B   write J
    settle    N                  purge L, write B   write J

The second round starts when the first is complete: sources before targets, always.
"""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from . import keys
from .keys import Position
from .ring import Ring
from .topology import Layout, Phase, Topology, server_of, stand_in


class Round(NamedTuple):
    """What one round of a write does: the nodes that get the value, and the nodes that lose theirs."""

    write: tuple[str, ...] = ()
    purge: tuple[str, ...] = ()


class Route(NamedTuple):
    """The nodes of one key. Every field holds node names."""

    read: tuple[str, ...]
    """Nearest zone first, then in the ring's order."""
    first: Round
    second: Round = Round()
    joining: tuple[str, ...] = ()
    """Copies that are being filled: they may be empty, and a lost reply elsewhere makes them suspect too."""
    fill: tuple[str, ...] = ()
    """Where a miss on a joining node is filled from; empty when no fill is allowed."""
    truth: str = ""
    """While the key moves: the one copy that counts and decides (count.py, add.py), the first of O until flip and of N
    from then on. Empty in stable, where the first that is written does."""
    gate: str = ""
    """In copy and flip, if O and N have different firsts: N's. Its lease keeps deciders of both phases apart."""

    @property
    def write(self) -> tuple[str, ...]:
        return self.first.write + self.second.write

    @property
    def purge(self) -> tuple[str, ...]:
        return self.first.purge + self.second.purge


Locate = Callable[[bytes, bool], tuple[int, int]]


def _by_digest(name: bytes, hash_tags: bool = False) -> tuple[int, int]:
    point, slot = keys.point_and_slot(keys.digest(name, hash_tags))
    return point, slot


class Replicas:
    """The replicas of each point by one layout: distinct nodes along the continuum, distinct zones first."""

    def __init__(self, layout: Layout):
        self.ring = Ring.build([(node.name, node.weight) for node in layout.nodes], layout.ring)
        self._count = min(layout.replicas, len(layout.nodes))
        self._zones = {node.name: node.zone for node in layout.nodes}
        self._out = layout.out
        self._known: dict[int, tuple[str, ...]] = {}

    @cached_property
    def sets(self) -> dict[tuple[str, ...], int]:
        """The sets of replicas that any key has, each with its number."""
        distinct = dict.fromkeys(map(self.of, self.ring.points))
        return {nodes: number for number, nodes in enumerate(distinct)}

    def number(self, where: Position) -> int:
        """That of the replicas there."""
        return self.sets[self.of(where.point)]

    def position(self, name: bytes, hash_tags: bool = False) -> Position:
        """Where a name lives on this ring: a point for `of`, and a slot."""
        where, choose = keys.position(name, hash_tags), self.ring.choose
        if choose is None:
            return where
        return where._replace(point=self.ring.points[choose(keys.hashed_part(name, hash_tags))])

    def of(self, point: int) -> tuple[str, ...]:
        index = self.ring.index(point)
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self._walk(point)
        return found

    def _walk(self, point: int) -> tuple[str, ...]:
        near: list[str] = []
        spare: list[str] = []
        zones: set[str] = set()
        for name in self.ring.walk(point):
            fresh = self._zones[name] not in zones
            zones.add(self._zones[name])
            (near if fresh else spare).append(name)
            if len(near) == self._count:
                break
        # Fewer zones than replicas: the rest in the ring's order.
        chosen = (near + spare)[: self._count]
        serving = tuple(name for name in chosen if name not in self._out)
        if serving or len(self._out) == len(self._zones):
            return serving
        return (stand_in(chosen, next(name for name in self.ring.walk(point) if name not in self._out)),)


class Placement:
    """Routes of one topology, seen from one zone."""

    def __init__(self, topology: Topology, zone: str = "", known: "Placement | None" = None):
        """`known` is the placement before this one: layouts they share are not built again."""
        self.topology, self.zone = topology, zone
        reusable: dict[Layout, Replicas] = known._replicas if known else {}
        self._replicas: dict[Layout, Replicas] = {
            layout: reusable.get(layout) or Replicas(layout) for layout in topology.layouts
        }
        self._old, self._new = self._replicas[topology.layout], self._replicas[topology.layouts[-1]]
        self._far = {name: bool(zone) and node.zone != zone for name, node in topology.nodes.items()}
        self._routes: dict[tuple[tuple[str, ...], tuple[str, ...]], Route] = {}
        self.by_name = any(replicas.ring.choose for replicas in self._replicas.values())
        """Whether a point follows from the name of a key, and not from its digest alone."""
        self._by_pair = self.by_name and self._old is not self._new
        self.locate: Locate = self.position if self.by_name else _by_digest
        """(point, slot) of a name, in the fewest steps."""

    def position(self, name: bytes, hash_tags: bool = False) -> Position:
        """Where a name lives: a point for `route`, and a slot."""
        where = self._old.position(name, hash_tags)
        if not self._by_pair:
            return where
        # The two rings of this move have no points in common: a point is the number of a pair of replicas' sets.
        old, new = self._old.number(where), self._new.number(self._new.position(name, hash_tags))
        return where._replace(point=old * len(self._new.sets) + new)

    @cached_property
    def _pairs(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        return [(old, new) for old in self._old.sets for new in self._new.sets]

    def route(self, point: int) -> Route:
        if self._by_pair:
            pair = self._pairs[point % len(self._pairs)]
        else:
            pair = self._old.of(point), self._new.of(point)
        route = self._routes.get(pair)
        if route is None:
            route = self._routes[pair] = self._route(*pair)
        return route

    @cached_property
    def cuts(self) -> list[int]:
        """Points in rising order. Keys between two have the route of the second; past the last, of the first."""
        if self._by_pair:
            return list(range(len(self._pairs)))
        old, new = self._old.ring.points, self._new.ring.points
        # Rising already, or two rising runs, which sorted() merges; a set would have to be sorted from the beginning.
        return list(dict.fromkeys(old if self._old is self._new else sorted([*old, *new])))

    def _route(self, old: tuple[str, ...], new: tuple[str, ...]) -> Route:
        phase = self.topology.phase
        joining = tuple(name for name in new if name not in old)
        leaving = tuple(name for name in old if name not in new)
        if old == new or phase is Phase.STABLE:
            return Route(self._near(old), Round(old))
        before, after = old[0] if old else "", new[0] if new else ""
        if phase is Phase.PREPARE:
            return Route(self._near(old), Round(old), Round(purge=joining), joining, truth=before)
        gate = after if before and before != after else ""
        if phase is Phase.COPY:
            return Route(self._near(new, joining), Round(old), Round(purge=joining), joining, old, before, gate)
        staying = tuple(name for name in new if name in old)
        route = Route(self._near(new, joining), Round(staying, leaving), Round(joining), joining, truth=after)
        return route._replace(fill=old, gate=gate) if phase is Phase.FLIP else route

    def _near(self, names: tuple[str, ...], joining: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(sorted(names, key=lambda name: (self._far[server_of(name)], name in joining)))
