"""Writing: what it takes to be acknowledged, and what becomes of a lost reply."""

import pytest

from django_dcache.commands import Answer, Refused, Remove
from django_dcache.errors import ConnectionLost, NodeDown, NodeTimeout, NodeUnreachable
from django_dcache.flows import Urgent
from django_dcache.flows.write import LOOK_WAIT, LOOKS, PAUSE_SECONDS, write
from django_dcache.model.view import SLOTS_IN_A_MINUTE, Bump
from support.played_flows import Keepers, Play, name_for, names_for, topology, view_of
from support.small_fleets import (
    ITEM,
    K2,
    ONE,
    TWO,
    K,
    outcome,
    slot_of,
    store,
)

DONE, MISS = Answer.DONE, Answer.MISS
OOM = Refused("SERVER_ERROR out of memory storing object")
SILENCE = [NodeTimeout(node="a"), ConnectionLost(node="a"), NodeUnreachable(node="a"), NodeDown(node="a")]

# Stable


def test_set():
    """A set is one round of one command for each replica."""
    assert outcome(Play(write(ONE, {K: ITEM}), {"a": {store(): DONE}})).successful
    play = Play(write(TWO, {K2: ITEM}), {"a": {store(K2): DONE}, "b": {store(K2): DONE}})
    assert outcome(play, K2).successful


@pytest.mark.parametrize(("reply", "existed"), [(DONE, True), (MISS, False)])
def test_delete(reply, existed):
    """A delete is acknowledged whether there was something or not, and says which."""
    done = outcome(Play(write(ONE, {K: None}), {"a": {Remove(K): reply}}))
    assert done.acknowledged and done.existed is existed


def test_delete_of_what_only_one_replica_has():
    """Something was deleted if any replica had it."""
    done = outcome(Play(write(TWO, {K2: None}), {"a": {Remove(K2): MISS}, "b": {Remove(K2): DONE}}), K2)
    assert done.acknowledged and done.existed


def test_many():
    """Many changes cost one round: one batch for each node, sets and deletes together."""
    a1, a2 = names_for(ONE, 2, read=("a",))
    b = name_for(ONE, read=("b",))
    play = Play(
        write(ONE, {a1: ITEM, b: None, a2: ITEM}),
        {"a": {store(a1): DONE, store(a2): DONE}, "b": {Remove(b): MISS}},
    )
    assert all(done.acknowledged for done in play.result.values())


def test_nothing():
    """No changes, no round."""
    assert Play(write(ONE, {})).result == {}


# Refusals


@pytest.mark.parametrize("reply", [OOM, Answer.NOT_STORED, Answer.CONFLICT, MISS])
def test_refused_set(reply):
    """A value that could not be stored does not leave the one before it behind, and the set has failed."""
    done = outcome(Play(write(ONE, {K: ITEM}), {"a": {store(): reply}}, {"a": {Remove(K): DONE}}))
    assert not done.successful and done.acknowledged


def test_set_that_one_replica_refused():
    """If one replica refuses, the value is removed from all of them."""
    play = Play(
        write(TWO, {K2: ITEM}),
        {"a": {store(K2): DONE}, "b": {store(K2): OOM}},
        {"a": {Remove(K2): DONE}, "b": {Remove(K2): MISS}},
    )
    assert not outcome(play, K2).successful and outcome(play, K2).acknowledged


def test_only_what_was_refused_is_removed():
    """Of many, only the refused ones are removed."""
    a1, a2 = names_for(ONE, 2, read=("a",))
    play = Play(
        write(ONE, {a1: ITEM, a2: ITEM}),
        {"a": {store(a1): DONE, store(a2): OOM}},
        {"a": {Remove(a2): DONE}},
    )
    assert play.result[a1].successful and not play.result[a2].successful


def test_refused_delete():
    """A delete that a node refused did not happen: the old value is disowned before it is acknowledged."""
    keepers = Keepers(ONE)
    done = outcome(Play(write(ONE, {K: None}), {"a": {Remove(K): OOM}}, keepers=keepers))
    assert done.acknowledged and not done.existed
    assert keepers.state("b").generation("a", slot_of(ONE, K)) == 1


def test_refused_set_whose_removal_is_refused():
    """Nor does the old value stay if the node refuses to remove it too."""
    keepers = Keepers(ONE)
    play = Play(write(ONE, {K: ITEM}), {"a": {store(): OOM}}, {"a": {Remove(K): OOM}}, keepers=keepers)
    assert not outcome(play).successful and outcome(play).acknowledged
    assert keepers.state("b").generation("a", slot_of(ONE, K)) == 1


# Lost replies


@pytest.mark.parametrize("failure", SILENCE)
@pytest.mark.parametrize(("item", "command"), [(ITEM, store()), (None, Remove(K))])
def test_lost_reply(failure, item, command):
    """A write whose reply never came is bumped, in time of its own; then a delete counts and a set does not."""
    keepers = Keepers(ONE)
    done = outcome(Play(write(ONE, {K: item}), {"a": {command: failure}}, keepers=keepers))
    assert done.acknowledged and not done.successful
    assert keepers.asked == [Urgent, Urgent]
    for keeper in "bc":
        assert keepers.state(keeper).generations["a"].above == {slot_of(ONE, K): 1}


def test_lost_reply_of_one_replica():
    """A set that one replica stored and the other did not answer is good: the silent copy is disowned."""
    keepers = Keepers(TWO)
    play = Play(write(TWO, {K2: ITEM}), {"a": {store(K2): NodeTimeout()}, "b": {store(K2): DONE}}, keepers=keepers)
    assert outcome(play, K2).successful
    assert keepers.state("c").generation("a", slot_of(TWO, K2)) == 1
    assert keepers.state("c").generation("b", slot_of(TWO, K2)) == 0


def test_bump_that_nobody_hears():
    """If too few keepers can be told, the write has failed and the bump is owed."""
    play = Play(write(ONE, {K: None}), {"a": {Remove(K): NodeTimeout()}}, keepers=Keepers(ONE, silent="abc"))
    assert not outcome(play).acknowledged
    assert [step.wanted for step in play.owed] == [{("a", slot_of(ONE, K)): 1}]


def test_one_bump_for_many():
    """Many lost replies are one bump."""
    several = names_for(ONE, 5, read=("a",))
    keepers = Keepers(ONE)
    play = Play(
        write(ONE, dict.fromkeys(several)), {"a": {Remove(name): NodeTimeout() for name in several}}, keepers=keepers
    )
    assert len(keepers.asked) == 2
    assert set(keepers.state("b").generations["a"].above) == {slot_of(ONE, name) for name in several}
    assert all(done.acknowledged for done in play.result.values())


def test_only_what_was_lost_is_owed():
    """A write that was answered is acknowledged, whatever becomes of the others."""
    a, b = K, name_for(ONE, read=("b",))
    play = Play(
        write(ONE, {a: None, b: None}),
        {"a": {Remove(a): NodeTimeout()}, "b": {Remove(b): DONE}},
        keepers=Keepers(ONE, silent="abc"),
    )
    assert not play.result[a].acknowledged and play.result[b].acknowledged


def bumped(keepers, node, at="b"):
    """How many slots of `node` the keeper holds a bump of."""
    state = keepers.state(at)
    return sum(state.generation(node, slot) > 0 for slot in range(256))


def test_a_node_that_is_away():
    """Of a node out of reach, writes that reach no copy give up four slots a minute; the rest fails."""
    several = names_for(ONE, 200, read=("a",))
    batch = {"a": {Remove(name): NodeDown() for name in several}}
    view, keepers = view_of(topology("abc")), Keepers(ONE)
    outcomes = Play(write(view, dict.fromkeys(several)), batch, keepers=keepers).result
    assert 0 < bumped(keepers, "a") <= SLOTS_IN_A_MINUTE
    acknowledged = {slot_of(view, name) for name, outcome in outcomes.items() if outcome.acknowledged}
    assert len(acknowledged) == bumped(keepers, "a")
    view.clock.advance(59)
    again = Play(write(view, dict.fromkeys(several)), batch, keepers=keepers).result
    assert not any(outcome.acknowledged for outcome in again.values())
    view.clock.advance(1)
    assert any(
        o.acknowledged for o in Play(write(view, dict.fromkeys(several)), batch, keepers=keepers).result.values()
    )


def test_what_was_sent_is_disowned():
    """What may happen later is put out of reach, however many slots that takes; other copies only if they changed."""
    several = names_for(ONE, 40, read=("a",))
    view, keepers = view_of(topology("abc")), Keepers(ONE)
    batch = {"a": {Remove(name): NodeTimeout() for name in several}}
    outcomes = Play(write(view, dict.fromkeys(several)), batch, keepers=keepers).result
    assert all(outcome.acknowledged for outcome in outcomes.values())
    assert bumped(keepers, "a") == len({slot_of(view, name) for name in several})


def test_neither_copy_is_reached():
    """A write that reaches no copy, of which one may have it, gives up that one and not both."""
    view, keepers = view_of(topology("abc", replicas=2)), Keepers(TWO)
    for _ in range(SLOTS_IN_A_MINUTE):
        view.allowance.take([("b", 1)], view.clock.now)
    silent = {"a": {store(K2): NodeTimeout()}, "b": {store(K2): NodeDown()}}
    assert not outcome(Play(write(view, {K2: ITEM}), silent, keepers=keepers), K2).acknowledged
    assert (bumped(keepers, "a", "c"), bumped(keepers, "b", "c")) == (1, 0)


def test_a_process_that_is_cut_off():
    """A write that was sent to no node, by a process that reaches no keeper either, fails and owes nothing."""
    away = {node: {store(K2): NodeDown()} for node in "ab"}
    play = Play(write(view_of(topology("abc", replicas=2)), {K2: ITEM}), away, keepers=Keepers(TWO, silent="abc"))
    assert not outcome(play, K2).acknowledged and not play.owed


def test_a_copy_that_is_not_reached_beside_one_that_is():
    """A write that one copy has is acknowledged: the other one is given up, as often as it takes."""
    view, keepers = view_of(topology("abc", replicas=2)), Keepers(TWO)
    for name in names_for(TWO, 20, read=("a", "b")):
        replies = {"a": {store(name): DONE}, "b": {store(name): NodeDown()}}
        assert outcome(Play(write(view, {name: ITEM}), replies, keepers=keepers), name).successful


def paused(seconds):
    """The reply of a node that has said nothing for so long, and is left alone."""
    failure = NodeDown(node="b")
    failure.silent_seconds = seconds
    return failure


def test_a_copy_whose_node_only_pauses():
    """What was not sent to a node that fell silent a moment ago is sent once it answers, and nothing is given up."""
    view, keepers = view_of(topology("abc", replicas=2)), Keepers(TWO)
    first = {"a": {store(K2): DONE}, "b": {store(K2): paused(0.4)}}
    again = [{"b": {store(K2): paused(0.5)}}, {"b": {store(K2): DONE}}]
    played = Play(write(view, {K2: ITEM}), first, *again, keepers=keepers)
    assert outcome(played, K2).successful and played.pauses == [LOOK_WAIT] * 2 and not keepers.asked


@pytest.mark.parametrize(("seconds", "looks"), [(0.4, LOOKS), (PAUSE_SECONDS, 0), (float("inf"), 0)])
def test_a_copy_whose_node_stays_away(seconds, looks):
    """One that stays silent is given up after a while; one that has been silent for longer, or refuses, at once."""
    view, keepers = view_of(topology("abc", replicas=2)), Keepers(TWO)
    first = {"a": {store(K2): DONE}, "b": {store(K2): paused(seconds)}}
    again = [{"b": {store(K2): paused(seconds)}}] * looks
    played = Play(write(view, {K2: ITEM}), first, *again, keepers=keepers)
    assert outcome(played, K2).successful and len(played.pauses) == looks and bumped(keepers, "b", "a") == 1


def test_by_a_map_that_may_be_old():
    """A process whose view is not proven writes what it can and acknowledges nothing."""
    view = view_of(topology("abc"), freshness=1.0, serves=False)
    view.clock.advance(1.0)
    for item, command in ((ITEM, store()), (None, Remove(K))):
        found = outcome(Play(write(view, {K: item}), {"a": {command: DONE}}))
        assert not found.acknowledged and not found.successful


# Bumped slots


def standing(view, node, name, *, empty, closed):
    now, slot = view.clock.now, slot_of(view, name)
    bumped = view.state.bumped({(node, slot): 1})
    return view_of(bumped, bumps={(node, slot): Bump(now + empty, now + closed)})


def test_generation():
    """Once a bumped slot is open again, writes go to its new generation."""
    view = standing(ONE, "a", K, empty=-1, closed=-1)
    assert outcome(Play(write(view, {K: ITEM}), {"a": {store(generation=1): DONE}})).successful


def test_an_empty_slot_is_left_alone():
    """Where nobody can have stored anything there is nothing to remove, and nothing may be stored yet."""
    view = standing(TWO, "a", K2, empty=1, closed=2)
    assert outcome(Play(write(view, {K2: ITEM}), {"b": {store(K2): DONE}}), K2).successful
    assert outcome(Play(write(view, {K2: None}), {"b": {Remove(K2): DONE}}), K2).acknowledged


def test_an_empty_slot_stores_nothing():
    """With its only slot empty a set fails, and a delete has nothing to do."""
    view = standing(ONE, "a", K, empty=1, closed=2)
    assert not outcome(Play(write(view, {K: ITEM}))).successful
    assert outcome(Play(write(view, {K: None}))).acknowledged


def test_a_closed_slot_is_only_deleted_from():
    """Where somebody may have stored already, a write of any kind removes it."""
    view = standing(TWO, "a", K2, empty=-1, closed=1)
    play = Play(write(view, {K2: ITEM}), {"a": {Remove(K2, 1): MISS}, "b": {store(K2): DONE}})
    assert outcome(play, K2).successful


def test_an_owed_slot_fails():
    """What this process could not disown may still be read by others: no write of it is acknowledged."""
    view = TWO.owing({("a", slot_of(TWO, K2)): 1})
    for item, command in ((ITEM, store(K2)), (None, Remove(K2))):
        assert not outcome(Play(write(view, {K2: item}), {"b": {command: DONE}}), K2).acknowledged
