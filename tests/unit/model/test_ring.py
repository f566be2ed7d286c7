"""The ring by itself; tests/conformance/test_ketama_vectors.py compares it with other clients."""

import random
from collections import Counter
from dataclasses import FrozenInstanceError
from hashlib import md5

import pytest

from django_dcache.errors import InvalidTopology
from django_dcache.model.ring import MODES, Ring, points_of

POINTS = [int.from_bytes(md5(b":1:session:%d" % i).digest()[:4], "little") for i in range(20_000)]
TEN = [(f"10.0.0.{i}", 1) for i in range(1, 11)]
UNEVEN = [("a", 1), ("b", 2), ("c", 3), ("d", 7)]
TIED = [("127.0.5.3", 1), ("127.0.5.16", 1), ("127.0.1.1", 1)]
TIE = 2354559999  # a point of the first two

every_mode = pytest.mark.parametrize("mode", MODES)


def moves(before: Ring, after: Ring) -> list[tuple[str, str]]:
    """(old owner, new owner) of each key that changes its owner."""
    pairs = ((before.owner(point), after.owner(point)) for point in POINTS)
    return [(old, new) for old, new in pairs if old != new]


def test_label_counts_of_ketama() -> None:
    """In mode ketama each node has 160 points for each unit of its weight, whoever else is on the ring."""
    assert Counter(Ring.build(UNEVEN).names) == {"a": 160, "b": 320, "c": 480, "d": 1120}


def test_label_counts_of_libmemcached() -> None:
    """In mode libmemcached each of n equal nodes has 40 labels, or 39 where float32 costs libmemcached one."""

    def points(count: int) -> list[int]:
        return list(map(len, MODES["libmemcached"]([(f"10.0.0.{i}", 1) for i in range(count)])))

    short = [n for n in range(1, 111) if points(n) == [4 * 39] * n]
    assert short == [25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110]
    assert all(points(n) == [4 * 40] * n for n in range(1, 111) if n not in short)


def test_points_are_sorted_and_named() -> None:
    """Points rise along the ring, and each has the name of a node."""
    ring = Ring.build(UNEVEN)
    assert list(ring.points) == sorted(ring.points)
    assert len(ring.names) == len(ring.points)


def test_lookup() -> None:
    """A key belongs to the first point at or after its own, and past the last point to the first."""
    ring = Ring.build(TEN)
    for index in (0, 1, 800, 1599):
        assert ring.index(ring.points[index]) == index
        assert ring.index(ring.points[index] + 1) == (index + 1) % 1600
    assert ring.index(0) == ring.index(2**32 - 1) == 0
    assert ring.owner(ring.points[800]) == ring.names[800]


@every_mode
@pytest.mark.parametrize("weights", [TIED, TIED[::-1]], ids=["as listed", "reversed"])
def test_equal_points(weights: list[tuple[str, int]], mode: str) -> None:
    """Of two nodes with an equal point the one listed first owns it, and the other is next on the walk."""
    ring = Ring.build(weights, mode)
    first, second = [name for name, _ in weights if name != "127.0.1.1"]
    assert ring.points.count(TIE) == 2
    assert [*ring.walk(TIE)][:2] == [first, second]


@every_mode
def test_order_of_nodes(mode: str) -> None:
    """Without equal points the order in which nodes are listed does not matter."""
    shuffled = random.Random(1).sample(UNEVEN, len(UNEVEN))
    assert shuffled != UNEVEN
    one, other = Ring.build(UNEVEN, mode), Ring.build(shuffled, mode)
    assert (one.points, one.names) == (other.points, other.names)


@every_mode
def test_adding_a_node(mode: str) -> None:
    """A node of weight 1 added to ten takes 1/11 ± 15 % of the keys, and no other key moves."""
    moved = moves(Ring.build(TEN, mode), Ring.build([*TEN, ("10.0.0.11", 1)], mode))
    assert {new for _, new in moved} == {"10.0.0.11"}
    assert len(moved) / len(POINTS) == pytest.approx(1 / 11, rel=0.15)


def test_only_new_nodes_are_hashed() -> None:
    """To add a node costs the points of that node; the ring is the one that is built of nothing known."""
    points_of.cache_clear()
    Ring.build(TEN)
    known = points_of.cache_info().misses
    grown = Ring.build([*TEN, ("10.0.0.11", 1)])
    assert points_of.cache_info().misses == known + 1
    points_of.cache_clear()
    anew = Ring.build([*TEN, ("10.0.0.11", 1)])
    assert (anew.points, anew.names) == (grown.points, grown.names)


def test_changing_a_weight() -> None:
    """In mode ketama a weight that goes up only takes keys from others, and one that goes down only gives them."""
    heavier = [(name, 5 if name == "c" else weight) for name, weight in UNEVEN]
    before, after = Ring.build(UNEVEN), Ring.build(heavier)
    assert {new for _, new in moves(before, after)} == {"c"}
    assert {old for old, _ in moves(after, before)} == {"c"}
    gained = after.share()["c"] - before.share()["c"]
    assert len(moves(before, after)) / len(POINTS) == pytest.approx(gained, abs=0.01)


@every_mode
def test_walk(mode: str) -> None:
    """A walk gives each node once, in ring order from the owner on."""
    ring = Ring.build(TEN, mode)
    for point in [*POINTS[:200], 0, 2**32 - 1]:
        start = ring.index(point)
        in_order = dict.fromkeys(ring.names[start:] + ring.names[:start])
        assert [*ring.walk(point)] == [*in_order]
        assert next(ring.walk(point)) == ring.owner(point)
        assert {*ring.walk(point)} == {name for name, _ in TEN}


def test_node_without_a_label() -> None:
    """A node too light for a single label in mode libmemcached owns nothing, and ends every walk."""
    ring = Ring.build([("light", 1), ("heavy", 100)], "libmemcached")
    assert "light" not in ring.names
    assert ring.share() == {"light": 0.0, "heavy": 1.0}
    assert [*ring.walk(POINTS[0])] == ["heavy", "light"]


@every_mode
def test_share(mode: str) -> None:
    """Shares add up to the whole hash space and tell which part of the keys each node owns."""
    ring = Ring.build(UNEVEN, mode)
    owned = Counter(map(ring.owner, POINTS))
    assert sum(ring.share().values()) == 1.0
    assert ring.share() == pytest.approx({name: owned[name] / len(POINTS) for name, _ in UNEVEN}, abs=0.01)
    assert [*ring.share()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("weights", "mode"), [(TEN, "jump"), ([], "ketama"), ([], "libmemcached"), ([], "modula")])
def test_refusals(weights: list[tuple[str, int]], mode: str) -> None:
    """An unknown mode and an empty fleet are refused."""
    with pytest.raises(InvalidTopology):
        Ring.build(weights, mode)


def test_frozen() -> None:
    """A ring can't be given other points."""
    with pytest.raises(FrozenInstanceError):
        Ring.build(TEN).points = Ring.build(UNEVEN).points  # type: ignore[misc]
