"""Bumping slots on the keepers."""

import pytest

from django_dcache.flows import Urgent
from django_dcache.flows.consensus import bump, prove
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Phase
from support.played_flows import Keepers, Play, topology, view_of
from support.three_keepers import ABC, BUMPED, FUTURE, SLOT, holding


def test_bump():
    """A bump is told to a majority in time of its own, but not to the node that is away."""
    keepers = holding(ABC.state)
    play = Play(bump(ABC, [SLOT]), keepers=keepers)
    assert play.result is True and keepers.asked == [Urgent, Urgent]
    assert keepers.state("b") == keepers.state("c") == BUMPED
    assert keepers.state("a") == ABC.state


def test_bump_of_a_lone_node():
    """Where the node that is away is the only keeper, it is asked all the same."""
    view = view_of(topology("a"))
    keepers = Keepers(view)
    assert Play(bump(view, [SLOT]), keepers=keepers).result is True
    assert keepers.state("a").generation(*SLOT) == 1


def test_bump_that_cannot_be_told():
    """A bump that no majority has heard of is owed."""
    play = Play(bump(ABC, [SLOT, ("a", 9)]), keepers=holding(ABC.state, silent="bc"))
    assert play.result is False
    assert [step.wanted for step in play.owed] == [{SLOT: 1, ("a", 9): 1}]


def test_what_is_not_owed():
    """Where nothing can have been changed a slot is bumped if keepers can be told now, and owed to none of them."""
    unchanged = ("a", 9)
    keepers = holding(ABC.state)
    assert Play(bump(ABC, [SLOT], [unchanged]), keepers=keepers).result is True
    assert keepers.state("b").generation(*unchanged) == 1
    for lost, owed in (([SLOT], [{SLOT: 1}]), ([], [])):
        play = Play(bump(ABC, lost, [unchanged]), keepers=holding(ABC.state, silent="bc"))
        assert play.result is False and [step.wanted for step in play.owed] == owed


def test_bump_known_already():
    """What somebody else has bumped past this process's view is not bumped again."""
    keepers = holding(ABC.state.bumped({SLOT: 5}))
    assert Play(bump(ABC, [SLOT]), keepers=keepers).result is True
    assert keepers.state("b").generation(*SLOT) == 5


def test_many_bumps_of_one_node():
    """However many slots of a node one process has lost, the others stay: what a node is, one client can't tell."""
    for count in (1, 48, 255):
        keepers = holding(ABC.state)
        assert Play(bump(ABC, [("a", slot) for slot in range(count)]), keepers=keepers).result is True
        assert sum(keepers.state("b").generation("a", slot) for slot in range(256)) == count


def test_bump_against_a_newer_release():
    """A document of a newer release is not bumped: the bump is owed, and nothing is raised."""
    keepers = holding(ABC.state, b=FUTURE, c=FUTURE)
    play = Play(bump(ABC, [SLOT]), keepers=keepers)
    assert play.result is False and play.owed[0].wanted == {SLOT: 1}
    assert keepers.document("b") == FUTURE


@pytest.mark.parametrize("knows", [False, True])
def test_a_move_that_began_meanwhile(knows):
    """A process that stood still since before a move began makes the joining nodes' copies of its slot unreachable too:
    others, who don't know of the bump yet, may fill them from the old one. So it is when it owes the bump."""
    moving = FleetState(topology("abc", "abcd", Phase.COPY, epoch=7))
    view = view_of(FleetState(topology("abc", epoch=5)))
    keepers = Keepers(view_of(moving))
    if knows:
        Play(prove(view_of(moving).owing({("a", 7): 1})), keepers=keepers)
    else:
        assert Play(bump(view, {("a", 7)}), keepers=keepers).result is False
    state = keepers.state("b")
    assert state.generation("a", 7) == 1 and state.generation("d", 7) == 1 and not state.generation("d", 8)
