"""Which of a node's keys a pass is about."""

from hypothesis import given
from hypothesis import strategies as st

from dcache_manager.rebalance.key_filter import KeyFilter
from django_dcache.flows.resize import Key
from django_dcache.model.keys import RESERVED, wire_key
from django_dcache.model.placement import Placement
from django_dcache.model.topology import Phase
from support.played_flows import names_for, topology, view_of
from support.strategies import topologies

MOVING = view_of(topology("ab", "abc", Phase.COPY))


def leaves(route, node):
    return node in route.fill


def selected(view, node, *wire_keys, wanted=leaves):
    return [key.name for key, _ in KeyFilter(view, node, wanted).select([(key, b"") for key in wire_keys])]


@given(topologies(), st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_cuts(shape, points):
    """Between two cuts every key has the route of the second, and past the last that of the first."""
    placement = Placement(shape)
    cuts = placement.cuts
    for point in {*points, *cuts[:5], *(cut + 1 for cut in cuts[-5:] if cut < 2**32 - 1), 0, 2**32 - 1}:
        following = next((cut for cut in cuts if cut >= point), cuts[0])
        assert placement.route(point) == placement.route(following)


def test_wanted_keys():
    """Of all keys on a node just those come through whose route is wanted, with slot and route."""
    moving, staying = names_for(MOVING, 20, fill=("a",)), names_for(MOVING, 20, fill=())
    assert selected(MOVING, "a", *moving, *staying) == moving
    ((key, said),) = KeyFilter(MOVING, "a", leaves).select([(moving[0], b"said")])
    assert key == Key(moving[0], MOVING.place(moving[0]).slot, MOVING.place(moving[0]).route) and said == b"said"


def test_keys_of_other_nodes():
    """A key that lies on a node which is no source of it is not wanted there."""
    assert selected(MOVING, "b", *names_for(MOVING, 5, fill=("a",))) == []


def test_generations():
    """Only items of the slot's present generation are reachable, and wanted."""
    view = view_of(MOVING.state.bumped_whole("a"))
    (name,) = names_for(view, 1, fill=("a",))
    assert selected(view, "a", name, wire_key(name, 1), wire_key(name, 2)) == [name]
    assert selected(MOVING, "a", name, wire_key(name, 1)) == [name]


def test_keys_of_other_software():
    """A key that no client of ours makes is passed over, and the keys after it are not."""
    names = names_for(MOVING, 5, fill=("a",))
    foreign = [b"\xff#", b"\xff" + b"9" * 5000 + b";a", b"k" * 241, b"a\r\nflush_all"]
    assert selected(MOVING, "a", *foreign, *names, wanted=lambda route, node: True) == names


def test_reserved_keys():
    """The fleet's own keys are never wanted."""
    names = [RESERVED + b"f:%d" % number for number in range(50)]
    assert selected(MOVING, "a", *names, wanted=lambda route, node: True) == []


def test_long_names():
    """A key too long to keep its name is placed by the digest that it carries."""
    names = [b"\xff#%032x%064x" % (number << 96, 7) for number in range(40)]
    assert selected(MOVING, "a", *names) == [name for name in names if "a" in MOVING.place(name).route.fill]


def test_closed():
    """Where no route is wanted the sieve says so at once."""
    assert KeyFilter(MOVING, "c", leaves).empty and not KeyFilter(MOVING, "a", leaves).empty
