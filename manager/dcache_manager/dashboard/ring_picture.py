"""The ring as arcs of an SVG picture. Pure; its size is bounded, however many nodes there are."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import cos, pi, sin

from django_dcache.model.placement import Replicas
from django_dcache.model.ring import SPACE
from django_dcache.model.topology import Layout

CELLS = 1440
"""Sectors whose owner is looked up: a quarter of a degree each."""
RADIUS = 100


@dataclass(frozen=True, slots=True)
class Arcs:
    """What one node owns. `path`: for a stroke around (0, 0), at RADIUS."""

    node: str
    share: float
    path: str


@lru_cache(maxsize=16)
def ring_picture(layout: Layout) -> tuple[Arcs, ...]:
    """Every node's arcs, clockwise from the top; neighbouring sectors of one owner are one arc."""
    ring = Replicas(layout).ring
    paths: dict[str, list[str]] = {name: [] for name in ring.nodes}
    owners = (ring.owner(SPACE * (2 * cell + 1) // (2 * CELLS)) for cell in range(CELLS))
    for owner, run in groupby(enumerate(owners), key=lambda pair: pair[1]):
        cells = [cell for cell, _ in run]
        paths[owner] += _arcs(cells[0], cells[-1] + 1)
    return tuple(Arcs(name, share, "".join(paths[name])) for name, share in ring.share().items())


def _arcs(first: int, last: int) -> list[str]:
    """In pieces of less than half a circle, which is all that an arc without further words can say."""
    step = CELLS // 3
    ends = [*range(first, last, step), last]
    return [f"M{_at(begin)}A{RADIUS} {RADIUS} 0 0 1 {_at(end)}" for begin, end in zip(ends[:-1], ends[1:], strict=True)]


def _at(cell: int) -> str:
    angle = 2 * pi * (cell % CELLS) / CELLS
    return f"{RADIUS * sin(angle):.1f} {-RADIUS * cos(angle):.1f}"
