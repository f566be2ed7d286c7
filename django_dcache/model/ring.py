"""The ring: a continuum of points, built once, then frozen and searched.

A node has labels `name-0`, `name-1`, …, and the md5 of each label holds four *points* of 32 bits, little-endian. A key
is owned by the node of the first point at or after its own, wrapping at 2**32. So far libmemcached, twemproxy and
uhashring agree, and uhashring computes the points. Where they do not agree the rule is ours:

labels per node
    uhashring shares out 40·n labels by weight in whole numbers, libmemcached in float32: of 25 equal nodes each has 40
    labels, or 39 (libmemcached/hosts.cc, update_continuum(); the same line is in twemproxy's nc_ketama.c). In both the
    weight of one node changes the labels of all, so that keys move between nodes that were not changed. Therefore mode
    `ketama` gives 40 labels for each unit of weight, whatever other nodes there are; mode `libmemcached` is exact. The
    two are one ring when every weight is 1, but for the few fleet sizes (25, 47, 50, …) where float32 falls just short
    of 40.

equal points
    uhashring keeps the node it saw last. libmemcached fills its continuum in the order of its servers, sorts it with
    glibc's qsort, which is stable, and takes the first. Here, too, the node listed first wins, and the other point
    stays behind it, where `walk` finds it. (Twemproxy first sorts its servers: the shorter name, then the lesser.)

lookup
    libmemcached takes the first point ≥ the key's, uhashring the first one above it. Keys spelled like a label differ.

modes of other clients
    `ketama-unweighted`, `rendezvous` and `modula` do not go by md5 (classic_hashes.py): each node has one point here,
    the end of an equal part of the ring, and `choose` says whose a key is. A replica is on the next node of the list.

names
    libmemcached labels a node `host-i` when its port is 11211, otherwise `host:port-i`, an IPv6 host without brackets,
    and a unix socket `/path:0-i`. Names are the topology's affair; mode `libmemcached` needs these.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor

from uhashring import HashRing

from ..errors import InvalidTopology
from .classic_hashes import Choose, continuum, modula, rendezvous

LABELS_PER_WEIGHT = 40
SPACE = 2**32

Continuum = Sequence["array[int]"]
"""The points of each node."""


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """`points` in rising order, and in `names` whose each is. `nodes` are all names, in the order they were given."""

    nodes: tuple[str, ...]
    points: "array[int]"
    names: tuple[str, ...]
    choose: Choose | None = None
    """In modes that do not go by md5: the place of a key's node among `nodes`, and of its point among `points`."""

    @classmethod
    def build(cls, weights: Sequence[tuple[str, int]], mode: str = "ketama") -> "Ring":
        """The ring of these (name, weight) pairs. Of two equal points the node that comes first here wins.

        Raises InvalidTopology for an unknown mode and when no node has any label.
        """
        if mode not in MODES.keys() | CLASSIC_CHOICES.keys():
            known = ", ".join((*MODES, *CLASSIC_CHOICES))
            raise InvalidTopology(f"ring mode {mode!r} is unknown; choose one of {known}")
        nodes = tuple(name for name, _ in weights)
        if nodes and mode in CLASSIC_CHOICES:
            # Parts of equal size: what share of the keys each node has is nearly so.
            ends = array("I", [(place + 1) * SPACE // len(nodes) - 1 for place in range(len(nodes))])
            return cls(nodes, ends, nodes, CLASSIC_CHOICES[mode](nodes))
        # A point and the place of its node in one number: tuples take three times as long to sort.
        continuum = [
            point << 32 | place
            for place, points in enumerate(MODES[mode](weights) if nodes else ())
            for point in points
        ]
        if not continuum:
            raise InvalidTopology("a ring needs at least one node with a weight")
        continuum.sort()
        return cls(
            nodes,
            array("I", [place >> 32 for place in continuum]),
            tuple([nodes[place & 0xFFFFFFFF] for place in continuum]),
        )

    def index(self, point: int) -> int:
        """The place in `points` and `names` of the first point ≥ `point`, wrapping."""
        index = bisect_left(self.points, point)
        return index if index < len(self.points) else 0

    def owner(self, point: int) -> str:
        """The name of the node that owns `point`."""
        return self.names[self.index(point)]

    def walk(self, point: int) -> Iterator[str]:
        """Every node once, in ring order from the owner of `point`."""
        seen: set[str] = set()
        start = self.index(point)
        # Negative places wrap by themselves.
        for place in range(start - len(self.names), start):
            name = self.names[place]
            if name not in seen:
                seen.add(name)
                yield name
                if len(seen) == len(self.nodes):
                    return
        # In mode libmemcached a node of very little weight has no label at all. It owns nothing but can hold replicas.
        yield from (name for name in self.nodes if name not in seen)

    def share(self) -> dict[str, float]:
        """The fraction of the hash space, 0.0 to 1.0, that each node owns, in the order the nodes were given."""
        owned = dict.fromkeys(self.nodes, 0)
        previous = self.points[-1] - SPACE
        for point, name in zip(self.points, self.names, strict=True):
            owned[name] += point - previous
            previous = point
        return {name: size / SPACE for name, size in owned.items()}


@lru_cache(maxsize=2048)
def points_of(name: str, labels: int) -> "array[int]":
    """The points of one node. Remembered: a resize leaves most nodes as they were, and hashing takes nine tenths of the
    time of a ring (docs/adr/0029)."""
    # One node at a time: uhashring keeps one owner a point, and inserts into a sorted list (quadratic in the points).
    ring = HashRing({name: {"vnodes": labels}}, hash_fn="ketama")
    return array("I", sorted(point for point, _ in ring.get_points()))


def _ketama(weights: Sequence[tuple[str, int]]) -> Continuum:
    return [points_of(name, LABELS_PER_WEIGHT * weight) for name, weight in weights]


def _libmemcached(weights: Sequence[tuple[str, int]]) -> Continuum:
    # C: floor((float) (pct * 160 / 4 * (float) live_servers + 0.0000000001)). All of it is in float but the last sum.
    total, count = _float32(sum(weight for _, weight in weights)), _float32(len(weights))
    shares = [_float32(_float32(weight) / total) for _, weight in weights]
    labels = [floor(_float32(_float32(_float32(share * 160) / 4 * count) + 1e-10)) for share in shares]
    return [points_of(name, number) for (name, _), number in zip(weights, labels, strict=True)]


def _float32(number: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


CLASSIC_CHOICES: dict[str, Callable[[Sequence[str]], Choose]] = {
    "ketama-unweighted": continuum,
    "rendezvous": rendezvous,
    "modula": modula,
}
MODES: dict[str, Callable[[Sequence[tuple[str, int]]], Continuum]] = {
    "ketama": _ketama,
    "libmemcached": _libmemcached,
}
