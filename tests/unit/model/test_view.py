"""A view: how a bumped slot goes from empty over closed to open, and how debts are remembered."""

import pytest

from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.state import FleetState, settled_slot
from django_dcache.model.topology import Phase
from django_dcache.model.view import Standing
from support.played_flows import HOLD, name_for, topology, view_of

ABC = FleetState(topology("abc", epoch=5))
TWICE = FleetState(topology("abc", replicas=2))
SLOT = ("a", 7)
ONCE = ABC.bumped({SLOT: 1})


def test_before_any_bump():
    """Without bumps every slot is open, at generation 0."""
    view = view_of(ABC)
    assert view.standing(*SLOT) is Standing.OPEN
    assert view.generation(*SLOT) == 0


def test_life_of_a_bump():
    """A bumped slot is empty, then closed, then open; each for as long as somebody may hold an older view."""
    view = view_of(ABC)
    clock, proven_at = view.clock, view.proven_at
    learned_at = clock.advance(0.4)
    view = view.learn(ONCE, learned_at)
    assert view.generation(*SLOT) == 1
    for moment, standing in [
        (learned_at, Standing.EMPTY),
        (proven_at + HOLD - 0.001, Standing.EMPTY),
        (proven_at + HOLD, Standing.CLOSED),
        (learned_at + HOLD - 0.001, Standing.CLOSED),
        (learned_at + HOLD, Standing.OPEN),
    ]:
        clock.now = moment
        assert view.standing(*SLOT) is standing


def test_bump_learned_late():
    """To a process whose last proof is too old a bump may be old too: the slot is closed at once."""
    view = view_of(ABC)
    now = view.clock.advance(HOLD + 1)
    assert view.learn(ONCE, now).standing(*SLOT) is Standing.CLOSED


def test_first_proof():
    """To a process that has seen nothing yet every bump may be of any age: closed, not empty."""
    view = view_of(ABC, proven_at=float("-inf"))
    assert view.learn(ONCE, view.clock.now).standing(*SLOT) is Standing.CLOSED


def settled(state, *slots):
    """`state`, where everybody has learned of the bumps of `slots`."""
    return state.bumped({settled_slot(*slot): state.generation(*slot) for slot in slots})


@pytest.mark.parametrize("proven_at", [1000.0, float("-inf")])
def test_bump_that_has_settled(proven_at):
    """A bump that every process has learned of is none to one that starts or looks late: it may store at once."""
    whole = ABC.bumped_whole("a")
    for state, slot in ((ONCE, SLOT), (whole, ("a", WHOLE_NODE))):
        view = view_of(ABC, proven_at=proven_at).learn(settled(state, slot), 1000.0)
        assert view.standing(*SLOT) is Standing.OPEN and view.generation(*SLOT) == 1


def test_bump_after_one_that_has_settled():
    """That an earlier bump of a slot or of its node has settled says nothing of the next."""
    for state, slot in ((ONCE, SLOT), (ABC.bumped_whole("a"), ("a", WHOLE_NODE))):
        again = settled(state, slot).bumped({SLOT: 2})
        assert view_of(ABC, proven_at=float("-inf")).learn(again, 1000.0).standing(*SLOT) is Standing.CLOSED


def test_settling():
    """Once nobody can hold an older view of a bump that a majority holds, the next proof says so; not a moment before,
    and never of one that is owed or that only one keeper told of."""
    view = view_of(ABC).learn(ONCE, 1000.0)
    view.clock.now = 1000.0 + HOLD - 0.001
    assert not view.ripe()
    view.clock.now = 1000.0 + HOLD
    assert view.ripe() == {settled_slot(*SLOT): 1}
    assert not view.learn(settled(ONCE, SLOT)).ripe()
    assert not view.owing({SLOT: 2}).ripe()
    rumour = view_of(ABC).learn(ONCE, held=False)
    rumour.clock.advance(1000)
    assert not rumour.ripe()
    whole = view_of(ABC).learn(ABC.bumped_whole("a"), 1000.0)
    whole.clock.advance(HOLD)
    assert whole.ripe() == {settled_slot("a", WHOLE_NODE): 1}


def test_settled_by_another():
    """A process opens a slot as soon as another has found that nobody can hold an older view."""
    view = view_of(ABC).learn(ONCE, 1000.0)
    assert view.learn(settled(ONCE, SLOT), 1000.5).standing(*SLOT) is Standing.OPEN


def test_debt_of_a_node_that_left():
    """What is owed on a node is owed no more once the node has left the fleet."""
    view = view_of(ABC).owing({SLOT: 1})
    assert not view.learn(FleetState(topology("bc", epoch=6)), 1001.0).debts


def test_one_slot_only():
    """The first bump of a node closes one slot of it, not the node."""
    view = view_of(ABC).learn(ONCE)
    assert view.standing("a", 8) is view.standing("b", 7) is Standing.OPEN


def test_whole_node():
    """A node that was bumped as a whole has no slot that is open."""
    view = view_of(ONCE).learn(ONCE.bumped_whole("a"))
    assert {view.standing("a", slot) for slot in range(256)} == {Standing.EMPTY}
    assert view.standing("b", 7) is Standing.OPEN


def test_slot_bumped_before_its_node():
    """Of a slot's own bump and its node's, the later one counts."""
    view = view_of(ABC).learn(ONCE)
    view.clock.advance(0.5)
    view = view.learn(ONCE.bumped_whole("a"))
    view.clock.advance(HOLD - 0.1)
    assert view.standing(*SLOT) is view.standing("a", 8) is Standing.CLOSED


def test_bumped_again():
    """A slot that is bumped again starts anew."""
    view = view_of(ABC).learn(ONCE)
    later = view.clock.advance(1.0)
    view = view.learn(ONCE, later).learn(ABC.bumped({SLOT: 2}), later)
    assert view.generation(*SLOT) == 2
    view.clock.now = later + HOLD - 0.001
    assert view.standing(*SLOT) is Standing.EMPTY


def test_learning_what_is_known():
    """Learning the same again prolongs nothing."""
    view = view_of(ABC).learn(ONCE)
    view.clock.advance(HOLD)
    assert view.learn(ONCE, view.clock.now).standing(*SLOT) is Standing.OPEN


def test_an_older_state_teaches_nothing():
    """A view never goes back."""
    view = view_of(ONCE)
    after = view.learn(ABC)
    assert after.state == ONCE and after.standing(*SLOT) is Standing.OPEN


def test_past_bumps_are_forgotten():
    """A bump that stopped mattering takes no room."""
    view = view_of(ABC).learn(ONCE)
    view.clock.advance(HOLD)
    assert not view.learn(ONCE).bumps


@pytest.mark.parametrize(("proven_at", "expected"), [(None, 1000.0), (999.0, 1000.0), (1000.5, 1000.5)])
def test_proof(proven_at, expected):
    """A proof is as old as the question that began it, and never gets older again."""
    view = view_of(ABC)
    assert view.proven_at == 1000.0
    assert view.learn(ABC, proven_at).proven_at == expected


def test_bump_that_only_one_keeper_told_of():
    """A bump that a majority may not hold yet is left alone until one is known to; only then does its time run. A
    delete that went by it would be acknowledged while others still read what the slot held before."""
    view = view_of(ABC).learn(ONCE, held=False)
    assert view.standing(*SLOT) is Standing.OWED
    view.clock.advance(10 * HOLD)
    assert view.standing(*SLOT) is Standing.OWED
    view = view.learn(ONCE, view.clock.now)
    view.clock.advance(HOLD - 0.001)
    assert view.standing(*SLOT) is Standing.CLOSED
    view.clock.advance(0.001)
    assert view.standing(*SLOT) is Standing.OPEN


def test_a_slot_is_empty_once_a_majority_holds_its_bump():
    """A write skips a bumped slot only when a majority is known to hold the bump: else others store there, unheard."""
    view = view_of(ABC).learn(ONCE, held=False)
    assert view.standing(*SLOT) is Standing.OWED
    assert view.learn(ONCE, view.clock.now).standing(*SLOT) is Standing.EMPTY


@pytest.mark.parametrize(("age", "serves", "expected"), [(0.9, False, (1, 1)), (1, False, (0, 0)), (1, True, (0, 1))])
def test_trust(age, serves, expected):
    """A view is proven for `freshness`; after that writes by it are acknowledged only where the site chose that."""
    view = view_of(ABC, freshness=1.0, serves=serves)
    view.clock.advance(age)
    assert (view.proven, view.trusted) == expected


def test_debt_that_only_one_keeper_knows_of():
    """A debt is not paid before a majority holds it."""
    view = view_of(ABC).owing({SLOT: 1})
    assert view.learn(ONCE, view.clock.now, held=False).standing(*SLOT) is Standing.OWED


def test_debt():
    """A slot whose bump is owed is left alone until a majority knows of it."""
    view = view_of(ABC).owing({SLOT: 2})
    assert view.standing(*SLOT) is Standing.OWED
    assert view.learn(ONCE, view.clock.now).standing(*SLOT) is Standing.OWED
    paid = ABC.bumped({SLOT: 2})
    assert view.learn(paid).standing(*SLOT) is Standing.OWED
    assert view.learn(paid, view.clock.now).standing(*SLOT) is Standing.EMPTY


def test_debts_add_up():
    """Of two debts on one slot the higher one counts, and others stay."""
    view = view_of(ABC).owing({SLOT: 3, ("b", 1): 1}).owing({SLOT: 2, ("c", 1): 1})
    assert view.debts == {SLOT: 3, ("b", 1): 1, ("c", 1): 1}


def test_a_debt_outlasts_its_bump():
    """An owed slot does not open with time."""
    view = view_of(ABC).owing({SLOT: 1})
    view.clock.advance(1000)
    assert view.standing(*SLOT) is Standing.OWED


def test_a_new_topology_moves_keys():
    """A view of a newer epoch places keys by it."""
    view = view_of(ABC)
    name = name_for(view, read=("a",))
    after = view.learn(FleetState(topology("bc", epoch=6)))
    assert after.epoch == 6
    assert after.place(name).route.read != ("a",)


def test_the_same_topology_keeps_its_placement():
    """What does not move a key costs no new ring."""
    view = view_of(ABC)
    assert view.learn(ONCE).placement is view.placement


def test_avoided_nodes_are_read_last():
    """A slow node is asked when no other copy is left; otherwise the order stays."""
    view = view_of(TWICE)
    route = view.place(name_for(view, read=("a", "b"))).route
    assert view.read_order(route) == ("a", "b")
    assert view.avoiding(frozenset("a")).read_order(route) == ("b", "a")
    assert view.avoiding(frozenset("ab")).read_order(route) == ("a", "b")
    assert view.avoiding(frozenset("c")).read_order(route) == ("a", "b")


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda view: view.learn(view.state, view.clock.now), True),
        (lambda view: view.learn(ONCE), False),
        (lambda view: view.learn(FleetState(topology("abc", "abcd", Phase.PREPARE, epoch=6))), False),
        (lambda view: view.owing({SLOT: 1}), False),
        (lambda view: view.avoiding(frozenset("a")), False),
        (lambda view: view.avoiding(frozenset()), True),
    ],
)
def test_what_is_remembered_of_places(change, kept):
    """Plans of places hold as long as nothing about them can have changed, and not a moment longer."""
    view = view_of(ABC)
    assert change(view).places_as(view) is kept


def test_hash_tags():
    """With hash tags, related keys have one place."""
    view = view_of(ABC, hash_tags=True)
    assert view.place(b"{u}:a") == view.place(b"{u}:b")
