"""A fleet's first state: who plants it, over what, and whose it is."""

import re
from dataclasses import replace

import pytest

from django_dcache.commands import Answer, Get, Store
from django_dcache.errors import Conflict, NotOurs
from django_dcache.flows.consensus import agree, bump, prove
from django_dcache.flows.resize import publish
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.owner import Owner
from django_dcache.model.planting import PLANTED_SLOT
from django_dcache.model.state import DROPPED_SLOT, FleetState, trace_key
from django_dcache.model.topology import Topology
from django_dcache.model.view import Standing
from support.played_flows import Keepers, Play, layout, topology, view_of
from support.three_keepers import ABC, FRESH, SLOT, holding

# Planting


def test_planting():
    """Where nothing is known anywhere, the settings become epoch 1."""
    keepers = Keepers(FRESH, documents=dict.fromkeys("abc"))
    play = Play(prove(FRESH), keepers=keepers)
    assert play.result is True and play.learned[-1].state.topology.epoch == 1
    assert all(keepers.state(name).topology == Topology(1, layout("a", "b", "c")) for name in "abc")


@pytest.mark.parametrize(("silent", "planted"), [("a", True), ("ab", False)])
def test_planting_needs_a_majority(silent, planted):
    """Nothing is planted unless a majority says that there is nothing."""
    keepers = Keepers(FRESH, silent=silent, documents=dict.fromkeys("abc"))
    assert Play(prove(FRESH), keepers=keepers).result is planted
    assert (keepers.document("c") is not None) is planted


def test_what_runs_comes_before_the_settings():
    """A process whose settings differ from what runs learns what runs, also from nodes that its settings lack."""
    running = FleetState(topology("bcd", epoch=9))
    keepers = Keepers(FRESH, documents={"a": None} | dict.fromkeys("bcd", running.encode()))
    play = Play(prove(FRESH), keepers=keepers)
    assert play.result is True and play.learned[-1].state == running
    assert all(keepers.state(name) == running for name in "bcd")


def test_planting_where_a_map_was_evicted():
    """Where a node remembers a map that is gone, names begin where none of the old ones reaches."""
    keepers = Keepers(FRESH, documents=dict.fromkeys("abc"))
    keepers.answer({"b": [Store(trace_key("f"), 0, b"7")]})
    play = Play(prove(FRESH), keepers=keepers)
    state = play.learned[-1].state
    assert play.result is True and state.topology.epoch == 1
    assert min(state.generation(node, WHOLE_NODE) for node in "abc") >= 8
    assert state.bumped_whole("d").generation("d", WHOLE_NODE) > 8
    assert FRESH.learn(state, FRESH.clock.now).standing("a", 7) is Standing.CLOSED


@pytest.mark.parametrize(("silent", "planted"), [("b", True), ("bc", False)])
def test_planting_needs_to_know_what_nodes_remember(silent, planted):
    """Where too few keepers say whether there was a map before, nothing is planted: old names could be reached."""

    class Slow(Keepers):
        def answer(self, step):
            about = any(command.name == trace_key("f") for batch in step.values() for command in batch)
            self.silent = set(silent if about else "")
            return super().answer(step)

    keepers = Slow(FRESH, documents=dict.fromkeys("abc"))
    assert Play(prove(FRESH), keepers=keepers).result is planted
    assert (keepers.document("a") is not None) is planted


def test_a_trace():
    """The first bump leaves a trace beside each document, and a fleet where nothing failed leaves none."""
    keepers = holding(ABC.state)
    Play(agree(ABC, lambda state: replace(state, fence=1)), keepers=keepers)
    assert keepers.answer({"b": [Get(trace_key("f"))]})["b"] == [Answer.MISS]
    Play(agree(ABC, lambda state: state.bumped({SLOT: 5})), keepers=keepers)
    assert keepers.answer({"b": [Get(trace_key("f"))]})["b"][0].data == b"5"


def test_a_fleet_that_was_planted_anew():
    """A process that finds less on a majority of keepers than was told them gives up what either side holds."""
    view = view_of(topology("abc", epoch=9)).learn(FleetState(topology("abc", epoch=9)), 1000.0)
    anew = FleetState(topology("ab", epoch=1))
    documents = dict.fromkeys("ab", anew.encode()) | {"c": view.state.encode()}
    play = Play(prove(view), keepers=Keepers(view, documents=documents))
    state = play.learned[-1].state
    assert state.topology.epoch == 9 and all(state.generation(node, WHOLE_NODE) for node in "abc")
    for others in ({"a": anew.encode(), "b": None}, {"a": anew.encode()}):
        documents = dict.fromkeys("abc", view.state.encode()) | others
        play = Play(prove(view), keepers=Keepers(view, documents=documents))
        assert not any(play.learned[-1].state.generation(node, WHOLE_NODE) for node in "abc")


# Maps that were lost


def map_of(planted, nodes="abc", epoch=1, **generations):
    """A map that was planted at this moment, with these generations of whole nodes."""
    bumps = {(node, WHOLE_NODE): floor for node, floor in generations.items()}
    return FleetState(topology(nodes, epoch=epoch)).bumped({PLANTED_SLOT: planted} | bumps)


def knowing(state):
    """A process that has proven this state."""
    return view_of(topology("abc", epoch=0)).learn(state, 1000.0)


NOW, LOST = map_of(20, epoch=3), map_of(10, nodes="bcd", epoch=57)


def test_a_map_says_when_it_was_planted():
    """Maps that are planted one after the other are told apart."""
    keepers = Keepers(FRESH, documents=dict.fromkeys("abc"))
    Play(prove(replace(FRESH, wall_clock=lambda: 1_800_000_000.0)), keepers=keepers)
    assert keepers.state("a").planted == (1_800_000_000 - 1_735_689_600) // 10


@pytest.mark.parametrize("planted", [10, 30])
@pytest.mark.parametrize("also", ["", "d"])
def test_what_is_left_of_another_map(also, planted):
    """Another map, on a node that was away or on one that joins, is replaced, whatever its epoch: one that was lost, or
    one that a process planted whose settings are out of date."""
    view, other = knowing(NOW), map_of(planted, nodes="bcd", epoch=57, b=9)
    keepers = Keepers(view, documents=dict.fromkeys("ab", NOW.encode()) | dict.fromkeys("cd", other.encode()))
    play = Play(agree(view, lambda state: replace(state, fence=1), also=also), keepers=keepers)
    # What lies on the node is of the other map, and no generation that one gave comes again.
    expected = replace(NOW.bumped({DROPPED_SLOT: 9}).bumped_whole("c"), fence=1)
    assert expected.generation("c", WHOLE_NODE) == 10
    assert play.result.majority and play.result.state == expected
    assert all(keepers.state(node) == play.result.state for node in ("a", "b", "c", *also))


def test_a_process_that_starts_beside_a_lost_map():
    """A process that starts goes by the map that most of its nodes hold."""
    keepers = Keepers(FRESH, documents={"a": NOW.encode(), "b": NOW.encode(), "c": LOST.encode()})
    assert Play(prove(FRESH), keepers=keepers).result is True
    assert keepers.state("c") == NOW.bumped_whole("c")


def test_a_process_that_starts_with_nodes_of_a_lost_map_only():
    """One whose settings lead to a lost map finds the present one where the lost one was kept."""
    view = view_of(Topology(0, layout("d")), proven_at=float("-inf"))
    keepers = Keepers(view, documents=dict.fromkeys("abc", NOW.encode()) | {"d": LOST.encode()})
    play = Play(prove(view), keepers=keepers)
    assert play.result is True and play.learned[-1].state.topology == NOW.topology


def test_a_process_that_remembers_a_lost_map():
    """It takes over the present map, and gives up what either of them holds; the next one that remembers does not."""
    first = second = knowing(map_of(10, epoch=57, a=4))
    keepers = Keepers(first, documents=dict.fromkeys("abc", NOW.encode()))
    state = Play(prove(first), keepers=keepers).learned[-1].state
    assert state.topology == NOW.topology
    assert {node: state.generation(node, WHOLE_NODE) for node in "abc"} == {"a": 5, "b": 1, "c": 1}
    assert Play(prove(second), keepers=keepers).learned[-1].state == state


def test_a_write_that_is_lost_while_another_map_is_planted():
    """It is not acknowledged: its key may live elsewhere by now."""
    view = knowing(map_of(10, epoch=57))
    keepers = Keepers(view, documents=dict.fromkeys("abc", NOW.encode()))
    assert Play(bump(view, [SLOT]), keepers=keepers).result is False


def test_a_conductor_whose_map_was_lost():
    """It publishes nothing, also if its next epoch is the next one of the present map."""
    view = knowing(map_of(10, epoch=3))
    keepers = Keepers(view, documents=dict.fromkeys("abc", NOW.encode()))
    with pytest.raises(Conflict, match="lost the fleet's map"):
        Play(publish(view, topology("ab", epoch=4), 9), keepers=keepers)


# Owners


def owned(*owners, state=ABC.state):
    for owner in owners:
        state = state.owned_by(Owner((f"@{owner}",)))
    return state


def test_an_owner():
    """The first project that changes a fleet's state owns it; keys that a project used to have are its own too."""
    view = replace(ABC, owner=Owner(("@new", "@old")))
    for before in (ABC.state, owned("old"), owned("new"), owned("old", "new")):
        keepers = holding(before)
        assert Play(agree(view, lambda state: replace(state, fence=9)), keepers=keepers).result.majority
        assert "@new" in keepers.state("a").marks >= before.marks


def test_another_project():
    """The state of another project's fleet is neither taken over nor replaced."""
    view, theirs = replace(FRESH, owner=Owner(("@ours",))), owned("theirs")
    keepers = Keepers(view, documents=dict.fromkeys("abc", theirs.encode()))
    play = Play(prove(view), keepers=keepers)
    assert play.result is False
    assert {type(error) for error in play.learned[0].refused.values()} == {NotOurs}
    assert {keepers.document(name) for name in "abc"} == {theirs.encode()}


def test_one_keeper_of_another_project():
    """One keeper that holds another project's state is as silent as one that is away."""
    view = replace(ABC, owner=Owner(("@ours",)))
    theirs = owned("theirs", state=FleetState(topology("xyz", epoch=99)))
    keepers = holding(ABC.state, b=theirs.encode())
    play = Play(agree(view, lambda state: state.bumped({SLOT: 1})), keepers=keepers)
    assert play.result.majority and play.result.state.topology.epoch == 5
    assert keepers.document("b") == theirs.encode()


def refused(play):
    """Why keepers were not believed."""
    return [error for step in play.learned for error in step.refused.values()]


SITE = Owner(("@key",), ("*abc",), ("+shop",))


@pytest.mark.parametrize(
    ("place", "user", "known"),
    [("*abc", "+shop", True), ("*c", "+shop", True), ("*abc", "+blog", True), ("*c", "+blog", False)],
)
def test_another_site(place, user, known):
    """A site with the same SECRET_KEY is let in if the fleet knows its nodes or its database, and then knows both."""
    keepers = Keepers(FRESH, documents=dict.fromkeys("abc", ABC.state.owned_by(SITE, 7).encode()))
    view = replace(FRESH, owner=Owner(("@key",), (place,), (user,)))
    if known:
        assert Play(prove(view), keepers=keepers).result is True
        assert keepers.state("a").marks == {"@key", "*abc", "+shop", place, user}
    else:
        play = Play(prove(view), keepers=keepers)
        assert play.result is False
        for error in refused(play):
            assert re.search("neither this LOCATION nor this database.*OPTIONS.* = 'f'", str(error))


def test_a_site_without_a_database():
    """What has neither a database nor a key prefix can't be told from another site, and is let in."""
    keepers = Keepers(FRESH, documents=dict.fromkeys("abc", ABC.state.owned_by(SITE, 7).encode()))
    assert Play(prove(replace(FRESH, owner=Owner(("@key",), ("*c",)))), keepers=keepers).result is True


def test_an_alias_that_is_put_first():
    """A fleet is not planted anew under the name of an alias that was put on its nodes later; the error says what to
    set."""
    keepers = Keepers(FRESH, documents=dict.fromkeys("abc"))
    keepers.put("b", owned("key").encode(), fleet="pages")
    view = replace(FRESH, owner=Owner(("@key",), names=("api", "pages")))
    play = Play(prove(view), keepers=keepers)
    assert play.result is False and "OPTIONS[\"fleet\"] = 'pages'" in str(*refused(play))
    assert keepers.document("a") is None
    keepers.put("b", None)
    assert Play(prove(view), keepers=keepers).result is True


def test_a_fleet_of_many_projects():
    """Projects that share a fleet by its name read whatever is there."""
    keepers = holding(owned("one", "other"))
    assert Play(prove(ABC), keepers=keepers).result is True
