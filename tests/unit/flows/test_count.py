"""Counting: no number is ever handed out twice."""

import pytest

from django_dcache.commands import Answer, Refused, Remove, Store, Token, Value
from django_dcache.errors import NodeDown, NodeTimeout, NoReplica
from django_dcache.flows.count import count
from django_dcache.flows.count_agree import LOOK_WAIT, NotANumber
from django_dcache.model.view import Bump
from support.counting import adds, looks, number
from support.played_flows import Keepers, Play, view_of
from support.small_fleets import K2, ONE, TWO, K

CONFLICT, DONE, MISS = Answer.CONFLICT, Answer.DONE, Answer.MISS
OOM = Refused("SERVER_ERROR out of memory")
NON_NUMERIC = Refused("CLIENT_ERROR cannot increment or decrement non-numeric value", unchanged=True)
HERE, THERE = Token(5, 1), Token(9, 2)

# One copy


@pytest.mark.parametrize(("stored", "total"), [(b"5", 5), (b"9 ", 9), (b"%d" % 2**63, 2**63)])
def test_count(stored, total):
    """With one copy, counting up is one command."""
    assert Play(count(ONE, K, 1), {"a": {adds(K): Value(stored)}}).result == total


def test_no_counter():
    """Where there is no counter nothing is made."""
    assert Play(count(ONE, K, 1), {"a": {adds(K): MISS}}).result is None


@pytest.mark.parametrize(("delta", "stored", "then"), [(-2, b"5", adds(K, -2)), (-5, b"5", adds(K, -5))])
def test_counting_down(delta, stored, then):
    """A node that counts down stops at zero and does not say so: the number is looked at first."""
    look = {"a": {looks(K): Value(stored, 2, 50, HERE)}}
    play = Play(count(ONE, K, delta), look, {"a": {then._replace(token=HERE): number(5 + delta)}})
    assert play.result == 5 + delta


def test_below_zero():
    """A number below zero is stored by its token, with what is left of its time."""
    look = {"a": {looks(K): Value(b"5", 2, 50, HERE)}}
    play = Play(count(ONE, K, -8), look, {"a": {Store(K, 0, b"-3", 2, 50, token=HERE): DONE}})
    assert play.result == -3


def test_up_from_below_zero():
    """What a node can't count with may be a number below zero."""
    look = {"a": {looks(K): Value(b"-3", 2, None, HERE)}}
    store = {"a": {Store(K, 0, b"1", 2, None, token=HERE): DONE}}
    assert Play(count(ONE, K, 4), {"a": {adds(K, 4): NON_NUMERIC}}, look, store).result == 1


def test_another_process_was_faster():
    """A number that was changed since it was seen is looked at again."""
    first, then = ({"a": {looks(K): Value(b"-%d" % n, 2, None, Token(n, 1))}} for n in (3, 2))
    rounds = first, {"a": {Store(K, 0, b"-4", 2, None, token=Token(3, 1)): Answer.CONFLICT}}
    play = Play(count(ONE, K, -1), *rounds, then, {"a": {Store(K, 0, b"-3", 2, None, token=Token(2, 1)): DONE}})
    assert play.result == -3 and play.pauses == [LOOK_WAIT]


@pytest.mark.parametrize("delta", [2**64, -(2**64)])
def test_a_delta_beyond_64_bits(delta):
    """A delta that no node can add is refused before anything is sent."""
    with pytest.raises(OverflowError):
        Play(count(ONE, K, delta))


def test_a_number_that_passes_64_bits():
    """A sum that takes more than 64 bits is taken back."""
    rounds = {"a": {adds(K, 3): number(1)}}, {"a": {adds(K, -3): number(2**64 - 2)}}
    with pytest.raises(OverflowError):
        Play(count(ONE, K, 3), *rounds)


def test_a_number_that_would_fall_below_64_bits():
    """A difference below the least number is refused before it is stored."""
    with pytest.raises(OverflowError):
        Play(count(ONE, K, -1), {"a": {looks(K): Value(b"%d" % -(2**63), 2, None, HERE)}})


@pytest.mark.parametrize("there", [Value(b"word", 16), Value(b"%d" % 2**64, 2)])
def test_not_a_number(there):
    """What is no number of 64 bits is not counted with."""
    with pytest.raises(NotANumber) as caught:
        Play(count(ONE, K, 1), {"a": {adds(K): NON_NUMERIC}}, {"a": {looks(K): there}})
    assert caught.value.value == there


@pytest.mark.parametrize("there", [Value(b"", stub=True), MISS, Value(b"-5", 2, 0, HERE)])
def test_no_number_for_a_moment(there):
    """A stub, or a number that is about to expire, is an absent counter and no value of the wrong kind."""
    assert Play(count(ONE, K, 1), {"a": {adds(K): NON_NUMERIC}}, {"a": {looks(K): there}}).result is None


@pytest.mark.parametrize("reply", [NodeTimeout(), NodeDown(), OOM])
def test_lost_count(reply):
    """A count whose outcome nobody knows is disowned: there is no counter any more, rather than a wrong one."""
    keepers = Keepers(ONE)
    assert Play(count(ONE, K, 1), {"a": {adds(K): reply}}, keepers=keepers).result is NoReplica
    assert keepers.state("b").generation("a", ONE.place(K).slot) == 1


def test_nothing_was_asked_to_count():
    """If the look before a count is lost nothing was changed, and nothing is disowned."""
    keepers = Keepers(ONE)
    assert Play(count(ONE, K, -1), {"a": {looks(K): NodeTimeout()}}, keepers=keepers).result is NoReplica
    assert not keepers.asked


# Bumped slots


def standing(view, node, name, *, empty, closed):
    now, slot = view.clock.now, view.place(name).slot
    return view_of(view.state.bumped({(node, slot): 1}), bumps={(node, slot): Bump(now + empty, now + closed)})


def test_an_empty_slot_does_not_count():
    """In an empty slot there is nothing to count with."""
    view = standing(TWO, "a", K2, empty=1, closed=2)
    keepers = Keepers(view)
    assert Play(count(view, K2, 1), {"b": {adds(K2): number(4)}}, keepers=keepers).result == 4
    assert keepers.asked  # Another process may know of one more bump.
    assert Play(count(standing(ONE, "a", K, empty=1, closed=2), K, 1)).result is None


def test_a_closed_slot_is_deleted_from():
    """What somebody may have stored in a closed slot is removed, not counted with."""
    view = standing(TWO, "a", K2, empty=-1, closed=1)
    rounds = {"a": {Remove(K2, 1): MISS}}, {"b": {adds(K2): number(4)}}
    play = Play(count(view, K2, 1), *rounds, keepers=Keepers(view))
    assert play.result == 4


def test_an_owed_slot_does_not_count():
    """While others may read a copy that this process could not disown, no number is handed out."""
    view = TWO.owing({("b", TWO.place(K2).slot): 1})
    assert Play(count(view, K2, 1)).result is NoReplica
