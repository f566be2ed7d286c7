"""Reading: which copies are asked, in which order, and what is a hit, a miss, or nothing that can be told."""

import pytest

from django_dcache.commands import Answer, Get, Refused, Remove, Store, Token, Value
from django_dcache.errors import LeaseLost, NodeDown, NodeTimeout, NoReplica
from django_dcache.flows import Brief, Item
from django_dcache.flows.read import LEASE_PATIENCE, LEASE_WAIT, fetch, fetch_or_load
from django_dcache.model.topology import Phase
from django_dcache.model.view import Bump
from support.played_flows import Keepers, Play, name_for, names_for, topology, view_of

HIT = Value(b"x", 16)
STUB = Value(b"", stub=True)
ONE = view_of(topology("abc"))
TWO = view_of(topology("abc", replicas=2))
THREE = view_of(topology("abc", replicas=3))
K = name_for(ONE, read=("a",))
K2 = name_for(TWO, read=("a", "b"))
K3 = name_for(THREE, read=("a", "b", "c"))
ITEM = Item(16, b"loaded", 60)

SILENT = [NodeTimeout(node="a"), NodeDown(node="a")]


# One name


def test_hit():
    """A hit costs one round of one command."""
    assert Play(fetch(ONE, [K]), {"a": {Get(K): HIT}}).result == {K: HIT}


@pytest.mark.parametrize("miss", [Answer.MISS, STUB, Refused("SERVER_ERROR")])
def test_miss(miss):
    """A miss, a stub and an error line are all an absent key, and no failure."""
    found = Play(fetch(ONE, [K]), {"a": {Get(K): miss}}).result
    assert not found and found.unanswered == 0


@pytest.mark.parametrize("failure", SILENT)
def test_silence(failure):
    """A key whose only node does not answer is no miss, and is counted."""
    found = Play(fetch(ONE, [K]), {"a": {Get(K): failure}}).result
    assert not found and found.unanswered == 1


@pytest.mark.parametrize("first", [Answer.MISS, STUB, *SILENT])
def test_next_copy(first):
    """After a miss or a failure the next copy is asked."""
    play = Play(fetch(TWO, [K2]), {"a": {Get(K2): first}}, {"b": {Get(K2): HIT}})
    assert play.result == {K2: HIT} and play.result.unanswered == 0


def test_time_is_left_for_the_next_copy():
    """A copy after which another can be asked may use half of the time, the last one all of it."""
    play = Play(fetch(TWO, [K2]), {"a": {Get(K2): Answer.MISS}}, {"b": {Get(K2): Answer.MISS}})
    assert play.kinds == [Brief, dict]


@pytest.mark.parametrize(
    ("replies", "unanswered"),
    [
        ((Answer.MISS, Answer.MISS, Answer.MISS), 0),
        ((NodeDown(), Answer.MISS, NodeDown()), 0),
        ((Answer.MISS, NodeDown(), NodeDown()), 0),
        ((NodeDown(), NodeTimeout(), NodeDown()), 1),
    ],
)
def test_a_miss_needs_one_answer(replies, unanswered):
    """A key is a miss if any of its nodes says so, and unanswered if none says anything."""
    rounds = [{node: {Get(K3): reply}} for node, reply in zip("abc", replies, strict=True)]
    found = Play(fetch(THREE, [K3]), *rounds).result
    assert not found and found.unanswered == unanswered


def test_existence():
    """To ask whether a key exists its value is not sent."""
    there = Value(None, 16)
    assert Play(fetch(ONE, [K], False), {"a": {Get(K, value=False): there}}).result == {K: there}


def test_an_avoided_node_is_asked_last():
    """A node that is slow is asked when the others have missed."""
    view = TWO.avoiding(frozenset("a"))
    assert Play(fetch(view, [K2]), {"b": {Get(K2): HIT}}).result == {K2: HIT}


# Many names


def test_many():
    """Many names cost one round: one batch for each node, in it every name of that node."""
    a1, a2 = names_for(ONE, 2, read=("a",))
    b = name_for(ONE, read=("b",))
    play = Play(
        fetch(ONE, [a1, b, a2]),
        {"a": {Get(a1): HIT, Get(a2): Answer.MISS}, "b": {Get(b): HIT}},
    )
    assert play.result == {a1: HIT, b: HIT}


def test_only_what_is_missing_is_asked_again():
    """The next copies are asked only for the names that are still missing."""
    ab, bc = K2, name_for(TWO, read=("b", "c"))
    play = Play(
        fetch(TWO, [ab, bc]),
        {"a": {Get(ab): NodeDown()}, "b": {Get(bc): HIT}},
        {"b": {Get(ab): Answer.MISS}},
    )
    assert play.result == {bc: HIT} and play.result.unanswered == 0


def test_nothing():
    """No names, no round."""
    assert Play(fetch(ONE, [])).result == {}


# Bumped slots


def standing(view, node, name, *, empty, closed):
    """`view` with a bump on the slot of `name`."""
    now = view.clock.now
    slot = view.place(name).slot
    bumped = view.state.bumped({(node, slot): 1})
    return view_of(bumped, bumps={(node, slot): Bump(now + empty, now + closed)})


def test_generation():
    """Under a bumped slot the name is asked for in its new generation."""
    view = standing(ONE, "a", K, empty=-1, closed=-1)
    assert Play(fetch(view, [K]), {"a": {Get(K, 1): HIT}}).result == {K: HIT}


def test_an_empty_slot_is_not_asked():
    """Where nobody can have stored anything yet, the next copy is asked at once."""
    view = standing(TWO, "a", K2, empty=1, closed=2)
    assert Play(fetch(view, [K2]), {"b": {Get(K2): HIT}}).result == {K2: HIT}


def test_an_empty_slot_is_a_miss():
    """A key whose only slot is empty is a miss and costs nothing."""
    view = standing(ONE, "a", K, empty=1, closed=2)
    found = Play(fetch(view, [K])).result
    assert not found and found.unanswered == 0


def test_a_closed_slot_is_read():
    """Where somebody may have stored already, reading is safe."""
    view = standing(ONE, "a", K, empty=-1, closed=1)
    assert Play(fetch(view, [K]), {"a": {Get(K, 1): HIT}}).result == {K: HIT}


def test_an_owed_slot_is_not_read():
    """What this process could not disown it must not read."""
    view = ONE.owing({("a", ONE.place(K).slot): 1})
    assert Play(fetch(view, [K])).result == {}


# Keys on the move

MOVES = {phase: view_of(topology("ab", "abc", phase)) for phase in Phase if phase is not Phase.STABLE}
LEASE = {"ttl": True, "lease": True}


MOVER = name_for(MOVES[Phase.PREPARE], read=("a",), joining=("c",))


def moving(phase):
    """A view in `phase`, and a name that moves from a to c."""
    return MOVES[phase], MOVER


def test_read_in_prepare():
    """In prepare the old copy is read, and nothing is filled."""
    view, name = moving(Phase.PREPARE)
    assert Play(fetch(view, [name]), {"a": {Get(name): HIT}}).result == {name: HIT}


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
def test_read_of_what_has_arrived(phase):
    """In copy and flip the new copy is read."""
    view, name = moving(phase)
    assert Play(fetch(view, [name]), {"c": {Get(name, **LEASE): HIT}}).result == {name: HIT}


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
def test_read_fills(phase):
    """In copy and flip what has not arrived yet is filled from the old copy, under a lease taken before."""
    view, name = moving(phase)
    token = Token(9, 1)
    play = Play(
        fetch(view, [name]),
        {"c": {Get(name, **LEASE): Value(b"", 0, None, token, won=True, stub=True)}},
        {"a": {Get(name, ttl=True): HIT}},
        {"c": {Store(name, 0, b"x", 16, None, token=token): Answer.DONE}},
    )
    assert play.result == {name: HIT}


def test_read_in_settle():
    """In settle the new copy is read, and a miss is a miss."""
    view, name = moving(Phase.SETTLE)
    assert Play(fetch(view, [name]), {"c": {Get(name): Answer.MISS}}).result == {}


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
def test_a_fill_that_fails(phase):
    """A moving key of which no node answers anything is no miss, and is counted."""
    view, name = moving(phase)
    play = Play(
        fetch(view, [name]),
        {"c": {Get(name, **LEASE): NodeTimeout()}},
        {"a": {Get(name, ttl=True): NodeTimeout()}},
    )
    assert not play.result and play.result.unanswered == 1


# Get or set


def won(serial, cas=9):
    """The reply to the first who asks with a lease."""
    return Value(b"", 0, None, Token(cas, serial), won=True, stub=True)


def test_loading_what_is_there():
    """What is there is not loaded."""
    play = Play(fetch_or_load(ONE, K, pytest.fail), {"a": {Get(K): HIT}})
    assert play.result == HIT


def test_loading():
    """What is missing is loaded under a lease, and stored by its token."""
    play = Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}},
        loaded=ONE,
    )
    assert play.result is None


def test_loading_for_two_replicas():
    """Each copy gives its own lease, and is stored by its own token."""
    play = Play(
        fetch_or_load(TWO, K2, lambda: ITEM),
        {"a": {Get(K2): Answer.MISS}},
        {"b": {Get(K2): Answer.MISS}},
        {"a": {Get(K2, lease=True): won(1, 8)}, "b": {Get(K2, lease=True): won(2, 9)}},
        {
            "a": {Store(K2, 0, b"loaded", 16, 60, token=Token(8, 1)): Answer.DONE},
            "b": {Store(K2, 0, b"loaded", 16, 60, token=Token(9, 2)): Answer.DONE},
        },
        loaded=TWO,
    )
    assert play.result is None


def test_loading_behind_a_dead_node():
    """What no replica can tell is not loaded under a lease."""
    assert Play(fetch_or_load(ONE, K, lambda: ITEM), {"a": {Get(K): NodeDown()}}).result is NoReplica


def test_waiting_for_another_loader():
    """While somebody else loads, a caller looks again instead of loading too."""
    play = Play(
        fetch_or_load(ONE, K, pytest.fail),
        {"a": {Get(K): STUB}},
        {"a": {Get(K, lease=True): STUB}},
        {"a": {Get(K): HIT}},
    )
    assert play.result == HIT and play.pauses == [LEASE_WAIT]


def test_patience_ends():
    """A caller that has waited long enough loads for itself, and stores nothing."""
    turn = ({"a": {Get(K): STUB}}, {"a": {Get(K, lease=True): STUB}})
    play = Play(fetch_or_load(ONE, K, lambda: ITEM), *turn * LEASE_PATIENCE, loaded=ONE)
    assert play.result is None and len(play.pauses) == LEASE_PATIENCE


def test_a_lease_on_one_of_two_copies():
    """Who has the lease of one copy and not of the other gives the first back and waits."""
    play = Play(
        fetch_or_load(TWO, K2, pytest.fail),
        {"a": {Get(K2): Answer.MISS}},
        {"b": {Get(K2): STUB}},
        {"a": {Get(K2, lease=True): won(1)}, "b": {Get(K2, lease=True): STUB}},
        {"a": {Remove(K2, 0, Token(9, 1)): Answer.DONE}},
        {"a": {Get(K2): HIT}},
    )
    assert play.result == HIT and play.pauses == [LEASE_WAIT]


def test_nothing_to_store():
    """If the loader has nothing to store the lease is given back."""
    Play(
        fetch_or_load(ONE, K, lambda: None),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Remove(K, 0, Token(9, 1)): Answer.DONE}},
        loaded=ONE,
    )


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_loader_that_raises(error):
    """What the loader raises comes out, after the lease was given back."""

    def load():
        raise error

    rounds = (
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Remove(K, 0, Token(9, 1)): Answer.DONE}},
    )
    with pytest.raises(error):
        Play(fetch_or_load(ONE, K, load), *rounds)


def test_broken_off_while_loading():
    """A flow that is given up while the loader runs asks for nothing any more."""
    flow = fetch_or_load(ONE, K, lambda: ITEM)
    flow.send(None)
    flow.send({"a": [Answer.MISS]})
    flow.send({"a": [won(1)]})
    flow.close()


def test_the_fleet_moves_while_loading():
    """After a change of topology nothing is stored: the copies may be elsewhere."""
    after = ONE.learn(view_of(topology("abc", "abcd", Phase.PREPARE, epoch=6)).state)
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Remove(K, 0, Token(9, 1)): Answer.DONE}},
        loaded=after,
    )


def test_bumped_while_loading():
    """A slot that was bumped meanwhile gets nothing: the lease was taken in the old generation."""
    after = ONE.learn(ONE.state.bumped({("a", ONE.place(K).slot): 1}))
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        loaded=after,
    )


def test_a_lost_reply_to_what_was_loaded():
    """If nobody knows whether it was stored its slot is bumped: it may be executed after something newer."""
    keepers = Keepers(ONE)
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): NodeTimeout()}},
        keepers=keepers,
        loaded=ONE,
    )
    assert keepers.state("b").generation("a", ONE.place(K).slot) == 1


def test_a_lease_that_was_lost():
    """A token that can't be used any more was not sent, so nothing has to be disowned."""
    keepers = Keepers(ONE)
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): LeaseLost()}},
        keepers=keepers,
        loaded=ONE,
    )
    assert not keepers.asked


@pytest.mark.parametrize("phase", list(MOVES))
def test_loading_what_moves(phase):
    """While a key moves only the move may fill it: what is loaded is not stored."""
    view, name = moving(phase)
    silent = {"c": {Get(name, **LEASE): NodeDown()}}, {"a": {Get(name, ttl=True): NodeDown()}}
    rounds = {
        Phase.PREPARE: ({"a": {Get(name): Answer.MISS}},),
        Phase.COPY: silent,
        Phase.FLIP: silent,
        Phase.SETTLE: ({"c": {Get(name): Answer.MISS}},),
    }[phase]
    expected = NoReplica if phase in (Phase.COPY, Phase.FLIP) else None
    assert Play(fetch_or_load(view, name, lambda: ITEM), *rounds, loaded=view).result is expected
