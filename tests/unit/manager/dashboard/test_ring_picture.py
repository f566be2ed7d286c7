"""The ring as arcs of a picture."""

import re

import pytest

from dcache_manager.dashboard.ring_picture import CELLS, ring_picture
from django_dcache.model.topology import Layout, Node


def layout(count: int) -> Layout:
    return Layout(tuple(Node.at(f"10.0.0.{number}") for number in range(1, count + 1)))


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_every_arc_is_drawn(count: int) -> None:
    """Each node has arcs, their shares make one, and where an arc ends another one begins."""
    arcs = ring_picture(layout(count))
    assert len(arcs) == count and sum(part.share for part in arcs) == pytest.approx(1)
    ends = [re.findall(r"M([-\d. ]+)A[\d ]+ 0 0 1 ([-\d. ]+)", part.path) for part in arcs]
    begins, lasts = (sorted(pair[end] for part in ends for pair in part) for end in (0, 1))
    assert begins == lasts


def test_a_thousand_nodes() -> None:
    """The picture's size has a bound, however many nodes there are."""
    assert sum(len(part.path) for part in ring_picture(layout(250))) < 45 * CELLS
