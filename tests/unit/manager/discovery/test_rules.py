"""How a fleet follows what a source says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcache_manager.discovery.answer import Found, answer
from dcache_manager.discovery.rules import Decision, Rules, confirmed, decide, strangers, wanted
from django_dcache.model.topology import Layout, Node

FOUR = Layout(tuple(Node(name, f"10.0.0.{number}:11211", 2, "x") for number, name in enumerate("abcd", 1)), 2)
ONE_AT_A_TIME = Rules(part=0.25)


def found(*entries: str) -> Any:
    """name@last number of an address."""
    parts = [entry.split("@") for entry in entries]
    return answer(Found(f"10.0.0.{number}:11211", name) for name, number in parts)


def step(*entries: str, running: Layout = FOUR, ejected: Any = (), **terms: Any) -> Decision:
    return decide(running, wanted(running, found(*entries), ejected), ONE_AT_A_TIME, **terms)


def nodes(layout: Layout | None) -> list[str]:
    return [f"{node.name}@{node.address.split(':')[0].split('.')[3]}" for node in layout.nodes] if layout else []


def test_only_equal_reads_count() -> None:
    """An answer counts once the last three reads were equal; one that differs, or an empty one, begins anew."""
    old, new = found("a@1", "b@2"), found("a@1")
    assert confirmed([new, new], 3) is None
    assert confirmed([old, new, new], 3) is None
    assert confirmed([new, (), new], 3) is None
    assert confirmed([old, new, new, new], 3) == new


def test_an_empty_answer_never_counts() -> None:
    """However often a source says that there is no node, nothing follows from it."""
    assert confirmed([(), (), (), ()], 3) is None


def test_the_order_of_an_answer_means_nothing() -> None:
    """A name server that turns its records round says the same, and so does one that names a node twice."""
    assert found("a@1", "b@2") == found("b@2", "a@1", "b@2")


def test_what_a_source_does_not_know_stays() -> None:
    """Weight, zone, order, copies and being out of service stay as they are, if the source says nothing of them."""
    running = FOUR.without(["b"])
    assert wanted(running, found("d@4", "b@2", "a@1", "c@3")) == running
    assert step("d@4", "b@2", "a@1", "c@3", running=running) == Decision(None, [])


def test_what_a_source_knows_counts() -> None:
    """A weight and a zone that a source names are those of the node."""
    said = answer([Found("10.0.0.1", "a", 5, "y"), *found("b@2", "c@3", "d@4")])
    assert wanted(FOUR, said).node("a") == Node("a", "10.0.0.1:11211", 5, "y")


def test_addresses_without_names() -> None:
    """A source that knows addresses only means the nodes that the fleet has there, whatever it calls them."""
    said = answer(Found(f"10.0.0.{number}") for number in (1, 2, 3, 4, 5))
    assert nodes(wanted(FOUR, said)) == ["a@1", "b@2", "c@3", "d@4", "10.0.0.5@5"]


def test_another_name_for_a_known_address() -> None:
    """A name that the fleet does not know, at an address that it does, is no new node: no key has to move for it."""
    assert nodes(wanted(FOUR, found("cache-0@1", "b@2", "c@3", "d@4"))) == ["a@1", "b@2", "c@3", "d@4"]


def test_new_nodes_join_at_once() -> None:
    """All that answer join in one resize; one that does not is named, and holds up none."""
    decision = step("a@1", "b@2", "c@3", "d@4", "e@5", "f@6", "g@7", silent={"f"})
    assert nodes(decision.layout) == ["a@1", "b@2", "c@3", "d@4", "e@5", "g@7"]
    assert decision.waits == ["f (10.0.0.6:11211): does not answer, or can't be used"]


def test_a_part_leaves_at_once() -> None:
    """Of four nodes that shall be one, one leaves at a time."""
    decision = step("a@1")
    assert nodes(decision.layout) == ["a@1", "c@3", "d@4"]
    assert decision.waits == ["c, d: at most 1 of 4 nodes may leave or move at once"]


def test_a_name_with_another_address_has_moved() -> None:
    """The node keeps its place on the ring: it does not leave, and no other joins."""
    assert nodes(step("a@1", "b@9", "c@3", "d@4").layout) == ["a@1", "b@9", "c@3", "d@4"]


def test_nodes_that_moved_do_so_one_by_one() -> None:
    """Those that are out of service anyway come first: they cost nothing."""
    decision = step("a@7", "b@8", "c@9", "d@4", running=FOUR.without(["c"]))
    assert nodes(decision.layout) == ["a@1", "b@2", "c@9", "d@4"]
    assert decision.waits == ["a, b: at most 1 of 4 nodes may leave or move at once"]


@pytest.mark.parametrize(("ejected", "out"), [({"b"}, False), (set(), True)])
def test_who_took_out_a_node_that_moved(ejected: set[str], out: bool) -> None:
    """A node that the processes gave up is in service at its new address; one that an operator took out stays out."""
    layout = step("a@1", "b@9", "c@3", "d@4", running=FOUR.without(["b"]), ejected=ejected).layout
    assert layout and layout.node("b") == Node("b", "10.0.0.9:11211", 2, "x", out)


def test_a_node_stays_until_others_have_taken_its_place() -> None:
    """If what is to replace a node does not answer, it stays: the fleet is not made smaller than both want it."""
    decision = step("a@1", "b@2", "c@3", "e@5", silent={"e"})
    assert decision.layout is None
    assert decision.waits == [
        "e (10.0.0.5:11211): does not answer, or can't be used",
        "d: stays until those answer that take its place",
    ]
    assert nodes(step("a@1", "b@2", "c@3", "e@5").layout) == ["a@1", "b@2", "c@3", "e@5"]


def test_an_address_that_another_node_has() -> None:
    """A node whose new address is that of another one waits until that one has left or moved."""
    first = step("a@1", "b@4", "c@3")
    assert nodes(first.layout) == ["a@1", "b@2", "c@3"]
    assert "b: d has its address still" in first.waits
    assert first.layout and nodes(step("a@1", "b@4", "c@3", running=first.layout).layout) == ["a@1", "b@4", "c@3"]


def test_a_copy_of_each_key_stays() -> None:
    """However many nodes may move at once, of those in service only so many do that a copy of each key stays."""
    many = Layout(tuple(Node(f"n{number}", f"10.0.0.{number}:11211") for number in range(1, 21)), 3)
    goal = wanted(many, found(*(f"n{number}@{number + 100}" for number in range(1, 21))))
    layout, waits = decide(many, goal, Rules(part=0.5))
    assert layout and [node.name for node in layout.nodes if node not in many.nodes] == ["n1", "n2"]
    assert len(waits) == 1 and waits[0].endswith(
        "n20: moves once the others have: a copy of each key stays where it is"
    )
    dead = many.without([f"n{number}" for number in range(1, 16)])
    layout, waits = decide(dead, goal, Rules(part=0.5))
    assert layout and len(set(layout.nodes) - set(dead.nodes)) == 10


def test_a_dead_node_whose_address_is_anothers() -> None:
    """A node that is gone and whose address another pod has got waits for no replacement."""
    decision = step("a@1", "b@4", "c@3", "e@5", running=FOUR, silent={"e"})
    assert nodes(decision.layout) == ["a@1", "b@2", "c@3"]


def test_nodes_that_swapped_addresses() -> None:
    """One of them leaves and joins again: at each moment an address is one node's."""
    goal, running, steps = ("a@2", "b@1", "c@3", "d@4"), FOUR, []
    while layout := step(*goal, running=running).layout:
        steps.append(nodes(layout))
        running = layout
    assert sorted(steps[-1]) == ["a@2", "b@1", "c@3", "d@4"] and len(steps) == 3


def test_only_repairs() -> None:
    """Outside its window nothing joins, leaves or moves, but for a node that is out of service and has moved."""
    decision = step("a@8", "b@9", "c@3", "e@5", running=FOUR.without(["b"]), ejected={"b"}, only_repairs="waits")
    assert nodes(decision.layout) == ["a@1", "b@9", "c@3", "d@4"]
    assert decision.waits == ["e, a, d: waits"]


def test_strangers() -> None:
    """New nodes and new addresses are asked whether they answer; the others are the healing's."""
    goal = wanted(FOUR, found("a@1", "b@9", "c@3", "e@5"))
    assert [node.name for node in strangers(FOUR, goal)] == ["b", "e"]


PLACES = st.permutations(range(1, 9)).flatmap(
    lambda numbers: st.sets(st.sampled_from("abcdef"), min_size=1).map(
        lambda names: [f"{name}@{number}" for name, number in zip(sorted(names), numbers, strict=False)]
    )
)


@given(PLACES, PLACES, st.sampled_from([0.01, 0.25, 0.5, 1.0]), st.integers(1, 3), st.sets(st.sampled_from("abcdef")))
def test_every_way_ends(before: list[str], after: list[str], part: float, replicas: int, out: set[str]) -> None:
    """From any nodes to any others steps lead, whichever node has whose address by then; each is a possible layout,
    and takes away no more than it may."""
    running = wanted(Layout((Node.at("10.0.0.99", "z"),)), found(*before))
    running = Layout(running.nodes, replicas).without(out & {entry[0] for entry in before})
    out, rules = set(running.out), Rules(part=part)
    for _ in range(40):
        goal = wanted(running, found(*after), out)
        layout, waits = decide(running, goal, rules)
        if layout is None:
            break
        kept = set(layout.nodes) & set(running.nodes)
        assert len(running.nodes) - len(kept) <= max(1, int(len(running.nodes) * part))
        running = layout
    assert waits == [] and running.nodes == wanted(running, found(*after)).nodes
    assert {entry[2:] for entry in nodes(running)} == {entry[2:] for entry in after}
