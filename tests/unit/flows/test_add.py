"""Adding: one copy decides, and an item is added once at most."""

import pytest

from django_dcache.commands import Answer, Get, Refused, Remove, Store, Token, Value
from django_dcache.errors import NodeTimeout
from django_dcache.flows import Item
from django_dcache.flows.add import TRIES, WAIT, add
from django_dcache.model.topology import Phase
from django_dcache.model.view import Bump
from support.played_flows import Keepers, Play, name_for, topology, view_of

DONE, MISS, TAKEN = Answer.DONE, Answer.MISS, Answer.NOT_STORED
OOM = Refused("SERVER_ERROR out of memory storing object")
ITEM = Item(16, b"new", 60)
ONE = view_of(topology("abc"))
TWO = view_of(topology("abc", replicas=2))
K = name_for(ONE, read=("a",))
K2 = name_for(TWO, read=("a", "b"))
MOVES = {phase: view_of(topology("ab", "abc", phase)) for phase in Phase if phase is not Phase.STABLE}
MOVER = name_for(MOVES[Phase.PREPARE], read=("a",), joining=("c",))
GATE = Token(9, 1)
THERE = Value(None, 16)


def adds(name=K):
    return Store(name, 0, b"new", 16, 60, add=True)


def stores(name=K, token=None):
    return Store(name, 0, b"new", 16, 60, token=token)


def looks(name, node, reply):
    return {node: {Get(name, value=False): reply}}


def leased(reply):
    return {"c": {Get(MOVER, value=False, lease=True): reply}}


WON = leased(Value(None, token=GATE, won=True, stub=True))
BUSY = leased(Value(None, token=GATE, stub=True))


@pytest.mark.parametrize(("reply", "added"), [(DONE, True), (OOM, False)])
def test_add(reply, added):
    """With one copy, adding is one command."""
    assert Play(add(ONE, K, ITEM), {"a": {adds(): reply}}).result is added


def test_there_already():
    """What is there already is not replaced."""
    look = {"a": {Get(K, value=False, token=True): Value(None, 16, token=GATE)}}
    assert Play(add(ONE, K, ITEM), {"a": {adds(): TAKEN}}, look).result is False


@pytest.mark.parametrize(("reply", "added"), [(DONE, True), (Answer.CONFLICT, False)])
def test_over_a_stub(reply, added):
    """What somebody is about to load is absent: it is added by the stub's token, unless the loader was faster."""
    look = {"a": {Get(K, value=False, token=True): Value(None, token=GATE, stub=True)}}
    play = Play(add(ONE, K, ITEM), {"a": {adds(): TAKEN}}, look, {"a": {stores(token=GATE): reply}})
    assert play.result is added


def test_first_replica_decides():
    """The first replica decides once no other has the key, and the others follow it."""
    rounds = looks(K2, "b", MISS), {"a": {adds(K2): DONE}}, {"b": {stores(K2): DONE}}
    assert Play(add(TWO, K2, ITEM), *rounds).result is True


def test_only_another_replica_has_it():
    """What any replica has is there, though the first one lacks it."""
    assert Play(add(TWO, K2, ITEM), looks(K2, "b", THERE)).result is False


def test_lost_decision():
    """A decision nobody knows is disowned, and nothing was added."""
    keepers = Keepers(ONE)
    assert Play(add(ONE, K, ITEM), {"a": {adds(): NodeTimeout()}}, keepers=keepers).result is False
    assert keepers.state("b").generation("a", ONE.place(K).slot) == 1


def test_next_replica_decides():
    """After a decision that was disowned the next replica decides."""
    keepers = Keepers(TWO)
    rounds = (
        looks(K2, "b", MISS),
        {"a": {adds(K2): NodeTimeout()}},
        looks(K2, "a", NodeTimeout()),
        {"b": {adds(K2): DONE}},
    )
    play = Play(add(TWO, K2, ITEM), *rounds, {"a": {stores(K2): NodeTimeout()}}, keepers=keepers)
    assert play.result is True
    assert keepers.state("c").generation("a", TWO.place(K2).slot) == 1


def test_a_decision_that_cannot_be_disowned():
    """If too few keepers can be told of a lost decision, no other replica decides."""
    rounds = looks(K2, "b", MISS), {"a": {adds(K2): NodeTimeout()}}
    play = Play(add(TWO, K2, ITEM), *rounds, keepers=Keepers(TWO, silent="abc"))
    assert play.result is False and play.owed


def test_lost_follower():
    """A replica that may not have followed is disowned before the add is acknowledged."""
    keepers = Keepers(TWO)
    rounds = looks(K2, "b", MISS), {"a": {adds(K2): DONE}}, {"b": {stores(K2): NodeTimeout()}}
    assert Play(add(TWO, K2, ITEM), *rounds, keepers=keepers).result is True
    assert keepers.state("c").generation("b", TWO.place(K2).slot) == 1


def test_a_bumped_slot_does_not_decide():
    """Where nothing may be stored nothing is decided."""
    now, slot = ONE.clock.now, ("a", ONE.place(K).slot)
    view = view_of(ONE.state.bumped({slot: 1}), bumps={slot: Bump(now + 1, now + 2)})
    assert Play(add(view, K, ITEM)).result is False


def test_an_owed_slot_adds_nothing():
    """While others may read a copy that this process could not disown, nothing is added."""
    assert Play(add(TWO.owing({("b", TWO.place(K2).slot): 1}), K2, ITEM)).result is False


# Keys on the move


def test_in_prepare():
    """In prepare the old copy decides, and what joins is purged after it."""
    play = Play(add(MOVES[Phase.PREPARE], MOVER, ITEM), {"a": {adds(MOVER): DONE}}, {"c": {Remove(MOVER): MISS}})
    assert play.result is True


def test_in_copy():
    """In copy the old copy decides while its caller holds the new one's lease, and gives it back."""
    play = Play(
        add(MOVES[Phase.COPY], MOVER, ITEM),
        WON,
        {"a": {adds(MOVER): DONE}},
        {"c": {Remove(MOVER, 0, GATE): DONE}},
        {"c": {Remove(MOVER): MISS}},
    )
    assert play.result is True


@pytest.mark.parametrize("reply", [Answer.CONFLICT, MISS, NodeTimeout()])
def test_void_gate_in_copy(reply):
    """If the lease was void in the end somebody of the next phase decided: what was added is taken back."""
    play = Play(
        add(MOVES[Phase.COPY], MOVER, ITEM),
        WON,
        {"a": {adds(MOVER): DONE}},
        {"c": {Remove(MOVER, 0, GATE): reply}},
        {"a": {Remove(MOVER): DONE}},
        {"c": {Remove(MOVER): DONE}},
    )
    assert play.result is False


@pytest.mark.parametrize(("reply", "added"), [(DONE, True), (Answer.CONFLICT, False)])
def test_in_flip(reply, added):
    """In flip the new copy decides by its lease, when the old one does not have the key."""
    rounds = WON, looks(MOVER, "a", MISS), {"c": {stores(MOVER, GATE): reply}}
    after = ({"a": {Remove(MOVER): MISS}},) if added else ()
    assert Play(add(MOVES[Phase.FLIP], MOVER, ITEM), *rounds, *after).result is added


def test_not_moved_yet():
    """In flip what only the old copy has is there, and the lease is given back."""
    play = Play(
        add(MOVES[Phase.FLIP], MOVER, ITEM), WON, looks(MOVER, "a", THERE), {"c": {Remove(MOVER, 0, GATE): DONE}}
    )
    assert play.result is False


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
@pytest.mark.parametrize("reply", [THERE, NodeTimeout(), MISS])
def test_no_gate(phase, reply):
    """If the new copy is there, or its lease can't be had, nothing is added."""
    assert Play(add(MOVES[phase], MOVER, ITEM), leased(reply)).result is False


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
def test_waiting_for_the_gate(phase):
    """While somebody else holds the lease a caller waits, then voids it, and gives up in the end."""
    void = {"c": {Remove(MOVER, 0, GATE): DONE}}
    play = Play(add(MOVES[phase], MOVER, ITEM), *[BUSY] * (TRIES - 1), void, BUSY)
    assert play.result is False and play.pauses == [WAIT] * TRIES


def test_in_settle():
    """In settle the new copy decides, and the old one is purged."""
    play = Play(add(MOVES[Phase.SETTLE], MOVER, ITEM), {"c": {adds(MOVER): DONE}}, {"a": {Remove(MOVER): MISS}})
    assert play.result is True
