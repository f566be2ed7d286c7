"""Adding: one copy decides, and an item is added once at most."""

import pytest

from django_dcache.commands import Answer, Get, Remove, Value
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows import Brief
from django_dcache.flows.add import add
from django_dcache.flows.count import count
from django_dcache.model.view import Bump
from support.additions import (
    DONE,
    FREE,
    GATE,
    ITEM,
    LEASE,
    MINE,
    MISS,
    OOM,
    OURS,
    TAKEN,
    THERE,
    VOID,
    again,
    alone,
    asks,
    decides,
    fills,
    sees,
    stores,
)
from support.played_flows import Keepers, Play, topology, view_of
from support.small_fleets import K2, ONE, TWO, K


@pytest.mark.parametrize(("reply", "added"), [(DONE, True), (OOM, False)])
def test_add(reply, added):
    """With one copy, adding is one round, which also tells what was there."""
    assert Play(add(ONE, K, ITEM), alone(reply)).result is added


@pytest.mark.parametrize("replicas", [1, 2])
def test_time_of_the_only_copy(replicas):
    """The only copy has all of the time to answer; of several the first leaves some to the next."""
    view = view_of(topology("abc", replicas=replicas))
    for flow in (add(view, K, ITEM), count(view, K, -1)):
        assert isinstance(next(flow), Brief) is (replicas > 1)


def test_there_already():
    """What is there already is not replaced, and costs one round."""
    assert Play(add(ONE, K, ITEM), alone(TAKEN, THERE)).result is False


@pytest.mark.parametrize(("reply", "added"), [(DONE, True), (Answer.CONFLICT, False)])
def test_over_a_stub(reply, added):
    """What somebody is about to load is absent: it is added by the stub's token, unless the loader was faster."""
    stub = Value(None, token=GATE, stub=True)
    after = {"a": {stores(token=GATE): reply, Get(K, value=False, token=True, peek=True): OURS}}
    assert Play(add(ONE, K, ITEM), alone(TAKEN, stub._replace(token=None)), sees(stub), after).result is added


@pytest.mark.parametrize("there", [THERE, NodeTimeout(), MISS])
def test_what_comes_between(there):
    """What was stored between the look and the addition is looked at, and left as it is."""
    assert Play(add(ONE, K, ITEM), alone(TAKEN), sees(there)).result is False


@pytest.mark.parametrize("readable", [True, False])
def test_over_what_can_not_be_read(readable):
    """What this process can't read is absent, on an only copy and on the first of several."""

    def can_read(value):
        return value.data is not None and readable

    there = Value(b"?", 1, None, GATE)
    over = {"a": {stores(token=GATE): DONE, Get(K, value=False, token=True, peek=True): OURS}}
    rounds = () if readable else (sees(there), over)
    assert Play(add(ONE, K, ITEM, can_read), alone(TAKEN, Value(b"?", 1)), *rounds).result is not readable
    others = {"b": {Remove(K2, 0, LEASE): DONE}} if readable else fills(DONE)
    look, over = {"a": {Get(K2, token=True): there}}, {"a": {stores(K2, GATE): DONE, **again(DONE)[1]["a"]}}
    rounds = look, *(() if readable else (over,)), others
    assert (
        Play(add(TWO, K2, ITEM, can_read), asks(FREE), decides(TAKEN, Value(None, 1)), *rounds).result is not readable
    )


def test_first_replica_decides():
    """The others are leased first, the first replica decides, and the others follow by their tokens."""
    assert Play(add(TWO, K2, ITEM), asks(FREE), decides(DONE), fills(DONE)).result is True


def test_another_replica_has_it():
    """What any replica has is there, though the first one lacks it."""
    assert Play(add(TWO, K2, ITEM), asks(THERE)).result is False


def test_only_the_first_replica_has_it():
    """If the first replica has it the leases are given back."""
    rounds = asks(FREE), decides(TAKEN, THERE), {"b": {Remove(K2, 0, LEASE): DONE}}
    assert Play(add(TWO, K2, ITEM), *rounds).result is False


def test_another_process_decided_on_the_second_replica():
    """A process that knows of a bump decides on the second replica: then what was added to the first is taken back."""
    rounds = asks(FREE), decides(DONE), fills(Answer.CONFLICT), asks(THERE)
    assert Play(add(TWO, K2, ITEM), *rounds, {"a": {Remove(K2, 0, MINE): DONE}}).result is False


@pytest.mark.parametrize("there", [MISS, Value(None, 16, None, VOID), NodeTimeout()])
def test_counted_before_it_was_everywhere(there):
    """What was counted with, or deleted, before it was on every replica, is not brought there as it was at first."""
    free = Value(None, token=VOID, won=True, stub=True)
    rounds = asks(FREE), decides(DONE), fills(MISS), *again(free, there), {"b": {Remove(K2, 0, VOID): DONE}}
    assert Play(add(TWO, K2, ITEM), *rounds).result is True


@pytest.mark.parametrize("won", [True, False])
def test_another_lease_on_the_second_replica(won):
    """A lease that was given back by a process that came second is taken again, if the first replica is as it was."""
    rounds = asks(FREE), decides(DONE), fills(MISS), *again(Value(None, token=VOID, won=won, stub=True))
    assert Play(add(TWO, K2, ITEM), *rounds, fills(DONE, VOID)).result is True


def test_lost_decision():
    """A decision nobody knows is disowned, and nothing was added."""
    keepers = Keepers(ONE)
    assert Play(add(ONE, K, ITEM), alone(NodeTimeout(), NodeTimeout()), keepers=keepers).result is NoReplica
    assert keepers.state("b").generation("a", ONE.place(K).slot) == 1


def test_next_replica_decides():
    """After a decision that was disowned the next replica decides, if it has not been disowned too."""
    for bumped in (False, True):
        keepers = Keepers(TWO)
        if bumped:
            for name in "abc":
                keepers.put(name, TWO.state.bumped({("b", TWO.place(K2).slot): 1}).encode())
        stub = Value(None, token=LEASE, stub=True)
        rounds = (
            asks(FREE),
            decides(NodeTimeout(), NodeTimeout()),
            decides(TAKEN, stub, node="b"),
            {"b": {stores(K2, LEASE): DONE, Get(K2, value=False, token=True, peek=True): OURS}},
        )
        assert Play(add(TWO, K2, ITEM), *rounds, keepers=keepers).result is not bumped
        assert keepers.state("c").generation("a", TWO.place(K2).slot) == 1


def test_a_decision_that_cannot_be_disowned():
    """If too few keepers can be told of a lost decision, no other replica decides."""
    rounds = asks(FREE), decides(NodeTimeout(), NodeTimeout())
    play = Play(add(TWO, K2, ITEM), *rounds, keepers=Keepers(TWO, silent="abc"))
    assert play.result is NoReplica and play.owed


def test_silent_follower():
    """A replica that can't be leased is disowned before the first one decides."""
    keepers = Keepers(TWO)
    assert Play(add(TWO, K2, ITEM), asks(NodeTimeout()), decides(DONE), keepers=keepers).result is True
    assert keepers.state("c").generation("b", TWO.place(K2).slot) == 1


def test_lost_follower():
    """A replica that may not have followed is disowned before the add is acknowledged."""
    keepers = Keepers(TWO)
    rounds = asks(FREE), decides(DONE), fills(NodeTimeout())
    assert Play(add(TWO, K2, ITEM), *rounds, keepers=keepers).result is True
    assert keepers.state("c").generation("b", TWO.place(K2).slot) == 1


def test_a_bumped_slot_does_not_decide():
    """Where nothing may be stored nothing is decided."""
    now, slot = ONE.clock.now, ("a", ONE.place(K).slot)
    view = view_of(ONE.state.bumped({slot: 1}), bumps={slot: Bump(now + 1, now + 2)})
    assert Play(add(view, K, ITEM)).result is False


@pytest.mark.parametrize("bumped", [False, True])
def test_beside_a_bumped_slot(bumped):
    """While one slot is bumped another process may know of one more, and decide elsewhere: the keepers are asked."""
    now, place = TWO.clock.now, TWO.place(K2)
    view = view_of(TWO.state.bumped({("b", place.slot): 1}), bumps={("b", place.slot): Bump(now + 1, now + 2)})
    keepers = Keepers(view)
    if bumped:
        for name in "abc":
            keepers.put(name, view.state.bumped({("a", place.slot): 1}).encode())
    assert Play(add(view, K2, ITEM), decides(DONE), keepers=keepers).result is not bumped


def test_an_owed_slot_adds_nothing():
    """While others may read a copy that this process could not disown, nothing is added."""
    assert Play(add(TWO.owing({("b", TWO.place(K2).slot): 1}), K2, ITEM)).result is NoReplica
