"""Fleets before and after a resize, a key whose copies move as the case wants, and the faults that strike meanwhile."""

import itertools
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import NamedTuple

from django_dcache.model.keys import position
from django_dcache.model.placement import Replicas
from django_dcache.model.topology import Layout, Node, Phase, Topology

FORWARD = (Phase.PREPARE, Phase.COPY, Phase.FLIP, Phase.SETTLE, Phase.STABLE)
ROLLBACK = (Phase.PREPARE, Phase.COPY, Phase.PREPARE, Phase.STABLE)


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances: of each batch (hang: it times out and may happen later; refuse), of each step of a process (freeze;
    late: it reads its replies after its deadline), and fifty times a second, of each node (evict, restart, away, gone:
    for long; leftover: it comes back with the map of a fleet that was lost) and of the network (split: some processes
    and nodes can't reach the others; cut: one process can't reach one node)."""

    hang: float = 0.0
    refuse: float = 0.0
    freeze: float = 0.0
    evict: float = 0.0
    restart: float = 0.0
    away: float = 0.0
    gone: float = 0.0
    split: float = 0.0
    cut: float = 0.0
    late: float = 0.0
    leftover: float = 0.0

    @property
    def none(self) -> bool:
        """Nothing can go wrong but an eviction: the promise has no bound then."""
        return not any(getattr(self, item.name) for item in fields(self) if item.name != "evict")


FAULTS = {
    "calm": Faults(),
    "evict": Faults(evict=0.02),
    "hang": Faults(hang=0.02, evict=0.01),
    "freeze": Faults(freeze=0.01, evict=0.01),
    "late": Faults(late=0.01),
    "late+hang": Faults(late=0.01, hang=0.02, evict=0.01),
    "away": Faults(away=0.004, evict=0.01),
    "restart": Faults(restart=0.0015, evict=0.01),
    "refuse": Faults(refuse=0.03, evict=0.01),
    "lossy": Faults(hang=0.08, freeze=0.01),
    "crashes": Faults(restart=0.02),
    "split": Faults(split=0.02, evict=0.01),
    "gone": Faults(gone=0.01, evict=0.01),
    "gone+cut": Faults(gone=0.005, cut=0.02, evict=0.01),
    "gone+split": Faults(gone=0.005, split=0.01, hang=0.005),
    "cut": Faults(cut=0.03, evict=0.01),
    "leftover": Faults(leftover=0.01),
    "storm": Faults(hang=0.01, refuse=0.005, freeze=0.003, evict=0.01, restart=0.0005, away=0.001),
}


class Case(NamedTuple):
    """How many nodes and copies before and after, and how many copies of the key stay where they are."""

    nodes: tuple[int, int]
    replicas: tuple[int, int]
    staying: int
    path: tuple[Phase, ...] = FORWARD
    address: bool = False
    """The first node, the owner of the keys, gets another address."""

    @property
    def forgetful(self) -> bool:
        """Whether what only the old address held is gone."""
        return self.address and self.replicas[0] == 1

    def topology(self) -> Topology:
        return Topology(0, self.layouts()[0])

    @lru_cache  # noqa: B019 - there are only so many cases
    def layouts(self) -> tuple[Layout, Layout]:
        before, after = (
            Layout(tuple(Node.at(f"10.0.0.{i}", name=chr(64 + i)) for i in range(1, count + 1)), copies)
            for count, copies in zip(self.nodes, self.replicas, strict=True)
        )
        if self.address:
            moved = replace(after.nodes[0], address=Node.at("10.0.0.99").address)
            after = replace(after, nodes=(moved, *after.nodes[1:]))
        return before, after

    @lru_cache  # noqa: B019
    def names(self, how_many: int) -> list[bytes]:
        """Keys that move as the case wants, in different slots."""
        old, new = (Replicas(layout) for layout in self.layouts())
        found: list[bytes] = []
        for number in itertools.count():
            name = b"k%d" % number
            point = position(name).point
            both = set(old.of(point)) & set(new.of(point))
            if len(both) == self.staying and (not self.address or old.of(point)[0] == "A"):
                found.append(name)
            if len(found) == how_many:
                return found
        raise AssertionError


CASES = {
    "stable1": Case((3, 3), (1, 1), 1, ()),
    "stable2": Case((3, 3), (2, 2), 2, ()),
    "stable3": Case((3, 3), (3, 3), 3, ()),
    "one": Case((1, 1), (1, 1), 1, ()),
    "two": Case((2, 2), (2, 2), 2, ()),
    "move": Case((3, 4), (1, 1), 0),
    "grow": Case((3, 3), (1, 2), 1),
    "shrink": Case((3, 3), (2, 1), 1),
    "r2add": Case((3, 4), (2, 2), 1),
    "drain": Case((4, 3), (2, 2), 1),
    "r2both": Case((4, 7), (2, 2), 0),
    "r3add": Case((4, 5), (3, 3), 2),
    "rollback": Case((3, 4), (1, 1), 0, ROLLBACK),
    "rollback2": Case((3, 4), (2, 2), 1, ROLLBACK),
    "elsewhere": Case((3, 3), (1, 1), 1, address=True),
    "elsewhere2": Case((3, 3), (2, 2), 2, address=True),
    "elsewhere-back": Case((3, 3), (2, 2), 2, ROLLBACK, address=True),
    "onetotwo": Case((1, 2), (1, 1), 0),
}
