"""The fleet as a value: what is refused, and how a resize goes step by step."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.errors import InvalidTopology
from django_dcache.model.topology import MAX_NODES, Layout, Node, Phase, Topology, strict
from support.strategies import topologies

A, B, C = (Node.at(f"10.0.0.{i}") for i in (1, 2, 3))
OLD, NEW = Layout((A, B)), Layout((A, B, C))
STABLE = Topology(7, OLD)


@pytest.mark.parametrize(
    ("given_as", "name", "address", "endpoint"),
    [
        ("10.0.0.1", "10.0.0.1", "10.0.0.1:11211", ("10.0.0.1", 11211)),
        ("10.0.0.1:11211", "10.0.0.1", "10.0.0.1:11211", ("10.0.0.1", 11211)),
        ("cache-1:11212", "cache-1:11212", "cache-1:11212", ("cache-1", 11212)),
        ("[::1]:11212", "[::1]:11212", "[::1]:11212", ("::1", 11212)),
        ("[::1]", "[::1]", "[::1]:11211", ("::1", 11211)),
        ("unix:/run/m.sock", "/run/m.sock", "unix:/run/m.sock", "/run/m.sock"),
        ("/run/m.sock", "/run/m.sock", "unix:/run/m.sock", "/run/m.sock"),
    ],
)
def test_addresses(given_as, name, address, endpoint):
    """An address is written as users do; port 11211 is left out of the name and never of the address."""
    node = Node.at(given_as)
    assert (node.name, node.address, *node.endpoints) == (name, address, endpoint)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a\n"},
        {"name": "-a"},
        {"name": "//a"},
        {"name": "a" * 101},
        {"name": 5},
        {"address": ""},
        {"address": "host"},
        {"address": "host:0"},
        {"address": "host:65536"},
        {"address": "host:11211\n"},
        {"address": "ho st:11211"},
        {"address": "unix:relative"},
        {"address": 5},
        {"weight": 0},
        {"weight": 101},
        {"weight": 1.0},
        {"weight": True},
        {"zone": 5},
        {"zone": None},
        {"out": 1},
    ],
)
def test_bad_nodes(wrong):
    """A node that could not be written to a keeper and read back is refused."""
    with pytest.raises(InvalidTopology):
        Node(**({"name": "a", "address": "host:11211"} | wrong))


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        (lambda: Layout(()), "at least one"),
        (lambda: Layout((A, replace(B, name=A.name))), "share the name"),
        (lambda: Layout((A, replace(B, address=A.address))), "share the address"),
        (lambda: Layout((A,), replicas=0), "replicas"),
        (lambda: Layout((A,), replicas=10), "replicas"),
        (lambda: Layout((A,), replicas=True), "replicas"),
        (lambda: Layout((A,), ring="jump"), "ring mode"),
        (lambda: Layout(tuple(Node.at(f"h{i}") for i in range(MAX_NODES + 1))), "1001 nodes"),
    ],
)
def test_bad_layouts(layout, complaint):
    """A layout without nodes, with twins or with impossible numbers is refused."""
    with pytest.raises(InvalidTopology, match=complaint):
        layout()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"epoch": -1}, "epoch"),
        ({"epoch": 2**53}, "epoch"),
        ({"epoch": 1.0}, "epoch"),
        ({"fence": -1}, "fence"),
        ({"phase": Phase.COPY}, "lacks a target"),
        ({"target": NEW}, "has a target"),
        ({"phase": Phase.COPY, "target": Layout((replace(A, address="10.0.0.9:11211"),))}, "two addresses"),
    ],
)
def test_bad_topologies(wrong, complaint):
    """A topology whose parts contradict each other is refused."""
    with pytest.raises(InvalidTopology, match=complaint):
        replace(STABLE, **wrong)


def test_frozen():
    """A topology can't be changed, only replaced by one with a higher epoch."""
    with pytest.raises(FrozenInstanceError):
        STABLE.epoch = 8


def test_a_whole_resize():
    """A resize goes through every phase in order, one epoch each, and ends stable on the target."""
    topology = STABLE.begin(NEW, fence=3)
    seen = [topology]
    for phase in (Phase.COPY, Phase.FLIP, Phase.SETTLE, Phase.STABLE):
        topology = topology.step(phase, fence=3)
        seen.append(topology)
    assert [step.phase for step in seen] == [*tuple(Phase)[1:], Phase.STABLE]
    assert [step.epoch for step in seen] == [8, 9, 10, 11, 12]
    assert {step.fence for step in seen} == {3}
    assert all(step.layouts == (OLD, NEW) for step in seen[:-1])
    assert topology.layouts == (NEW,)


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.COPY])
def test_giving_up(phase):
    """Stable before settle means back to the old layout."""
    assert STABLE.begin(NEW).step(phase).step(Phase.STABLE).layout == OLD


def test_changes_that_move_no_key():
    """A layout that moves no key is served at once, as the next epoch."""
    assert STABLE.served_by(NEW, fence=2) == Topology(8, NEW, fence=2)


def test_unknown_phase():
    """A phase that this release does not know is refused."""
    with pytest.raises(InvalidTopology, match="phase"):
        Topology.from_json(STABLE.to_json() | {"phase": "melt"})


def test_nodes_and_keepers():
    """While keys move, the nodes of both layouts are spoken to, and each layout has its own keepers."""
    moving = STABLE.begin(Layout((C, A)))
    assert set(moving.nodes) == {A.name, B.name, C.name}
    assert moving.keepers == ((A.name, B.name), (C.name, A.name))


def test_only_five_keepers():
    """The first five nodes in service are the keepers."""
    nodes = tuple(Node.at(f"h{i}", weight=1) for i in range(8))
    layout = Layout((replace(nodes[0], out=True), *nodes[1:]))
    assert Topology(1, layout).keepers == (("h1", "h2", "h3", "h4", "h5"),)


@given(topologies())
def test_json_round_trip(topology):
    """Every topology survives its JSON form."""
    assert Topology.from_json(topology.to_json()) == topology


@given(topologies(), st.data())
def test_damaged_json(topology, data):
    """A document with a field missing, added or of another type is refused whole."""
    document = topology.to_json()
    place = data.draw(st.sampled_from([document, document["layout"], document["layout"]["nodes"][0]]))
    required = [key for key in place if key not in ("target", "out")]
    field = data.draw(st.sampled_from(required))
    damage = data.draw(st.sampled_from(("missing", "added", "null", "list", "float")))
    if damage == "missing":
        del place[field]
    elif damage == "added":
        place["surprise"] = 1
    else:
        place[field] = {"null": None, "list": [[]], "float": 1.0}[damage]
    with pytest.raises(InvalidTopology):
        Topology.from_json(document)


def test_strict_knows_bool_from_int():
    """JSON's true is no number."""
    with pytest.raises(InvalidTopology):
        strict({"weight": True}, {"weight": int})
