"""Reading: which copies are asked, in which order, and what is a hit, a miss, or nothing that can be told."""

import pytest

from django_dcache.commands import Answer, Get, Refused, Store, Token, Value
from django_dcache.errors import NodeDown, NodeTimeout
from django_dcache.flows import Brief, Item
from django_dcache.flows.read import fetch
from django_dcache.model.topology import Phase
from django_dcache.model.view import Bump
from support.played_flows import Play, name_for, names_for, topology, view_of

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
