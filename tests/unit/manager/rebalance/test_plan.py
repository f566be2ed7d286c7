"""What a resize would do."""

import json
from dataclasses import replace

import pytest

from dcache_manager.rebalance.plan import edit, plan
from django_dcache.errors import InvalidTopology
from django_dcache.model.topology import Layout, Node, Topology

THREE = Layout(tuple(Node(name, f"10.0.0.{number}:11211") for number, name in enumerate("abc", 1)))
NEW = Node("d", "10.0.0.4:11211")


def changes(desired: Layout, current: Layout = THREE) -> list[str]:
    return plan(Topology(5, current), desired).changes


def test_nothing_to_do() -> None:
    """The plan to what runs already is empty, moves nothing and has no changes."""
    made = plan(Topology(5, THREE), THREE)
    assert made.empty and made.changes == [] and made.moved_share == 0.0


def test_adding_one_of_four() -> None:
    """A fourth equal node takes about a quarter of all copies, and every share adds up to the whole."""
    made = plan(Topology(5, THREE), edit(THREE, add=[NEW]))
    assert made.moved_share == pytest.approx(1 / 4, abs=0.06)
    assert made.changes == ["add d (10.0.0.4:11211, weight 1)"]
    for moment in ("owns_before", "owns_after"):
        assert sum(node[moment] for node in made.per_node) == pytest.approx(1)


def test_moved_share_of_a_second_replica() -> None:
    """From one replica to two, half of all copies have to be made."""
    assert plan(Topology(5, THREE), edit(THREE, replicas=2)).moved_share == pytest.approx(0.5)


def test_every_change_is_a_sentence() -> None:
    """Whatever differs is said, in the order of the nodes: joined, left, then what became of those that stay."""
    moved = replace(THREE.nodes[0], address="10.9.9.9:11211", zone="x", out=True)
    desired = Layout((moved, replace(THREE.nodes[1], weight=3), NEW), 2, "libmemcached")
    assert changes(desired) == [
        "add d (10.0.0.4:11211, weight 1)",
        "remove c",
        "a: zone '' becomes 'x'",
        "a: address '10.0.0.1:11211' becomes '10.9.9.9:11211'",
        "a: out False becomes True",
        "b: weight 1 becomes 3",
        "replicas 1 becomes 2",
        "ring 'ketama' becomes 'libmemcached'",
    ]


def test_another_order_is_a_change() -> None:
    """Nodes in another order are another layout, and the plan says so."""
    assert changes(Layout(THREE.nodes[::-1])) == ["the order of the nodes changes"]


def test_plan_during_a_resize() -> None:
    """While keys are moving the plan is made from where they are moving to."""
    target = edit(THREE, add=[NEW])
    assert plan(Topology(5, THREE).begin(target), target).empty


def test_json() -> None:
    """A plan survives JSON, and its target is a layout as topologies write it."""
    desired = edit(THREE, add=[NEW])
    document = json.loads(json.dumps(plan(Topology(5, THREE), desired).to_json()))
    assert document["target"] == Topology(5, desired).to_json()["layout"]
    assert document["epoch"] == 5


def test_edits() -> None:
    """Nodes are added at the end, removed and weighted by name; all else stays as it is."""
    edited = edit(THREE, [NEW], ["b"], {"c": 2})
    assert [(node.name, node.weight) for node in edited.nodes] == [("a", 1), ("c", 2), ("d", 1)]
    assert (edited.replicas, edited.ring) == (THREE.replicas, THREE.ring)


def test_edits_can_be_repeated() -> None:
    """Adding a node that is there already, at the same address, changes nothing."""
    once = edit(THREE, [NEW])
    assert edit(once, [NEW]) == once


@pytest.mark.parametrize(
    ("edits", "complaint"),
    [
        ({"remove": ["x", "b"]}, "no node by this name .*: 'x'; there are a, b, c"),
        ({"weights": {"y": 2}}, "no node by this name .*: 'y'"),
        ({"add": [Node("a", "10.0.0.9:11211")]}, "'a' has the address 10.0.0.1:11211"),
        ({"remove": ["a", "b", "c"]}, "at least one node"),
        ({"weights": {"a": 0}}, "weight 0"),
    ],
)
def test_edits_that_make_no_sense(edits: dict[str, object], complaint: str) -> None:
    """An edit that can't be made is refused with a sentence that says why."""
    with pytest.raises(InvalidTopology, match=complaint):
        edit(THREE, **edits)  # type: ignore[arg-type]
