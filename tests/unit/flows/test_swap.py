"""Swapping: the first copy decides, and of two processes that swap one value one succeeds at most."""

import pytest

from django_dcache.commands import Answer, Get, Refused, Remove, Store, Token, Value
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows import Item
from django_dcache.flows.swap import swap
from django_dcache.model.topology import Phase
from support.played_flows import Keepers, Play
from support.small_fleets import K2, MOVER, MOVES, ONE, TWO, K

ITEM = Item(16, b"new", 60)
T1, T2, MINE = Token(1, 1), Token(2, 2), Token(3, 1)
OLD = Value(b"old", 16, token=T1)
SAME = Value(b"old", 16, token=T2)
NOW = Value(None, 16, token=MINE)
OOM = Refused("OOM command not allowed")
DONE, MISS, CONFLICT = Answer.DONE, Answer.MISS, Answer.CONFLICT


def expected(value):
    """Whether it is the old one."""
    return value.data == b"old"


def asks(name, **replies):
    """The round in which the copies are looked at."""
    return {node: {Get(name, token=True): reply} for node, reply in replies.items()}


def decides(name, reply, node="a", token=T1):
    """The round in which the first copy decides."""
    return {node: {Store(name, 0, b"new", 16, 60, token=token): reply, Get(name, value=False, token=True): NOW}}


def follows(reply, token=T2):
    """The round in which the other copy follows."""
    return {"b": {Store(K2, 0, b"new", 16, 60, token=token): reply}}


@pytest.mark.parametrize(("reply", "swapped"), [(DONE, True), (CONFLICT, False), (MISS, False), (OOM, False)])
def test_one_copy(reply, swapped):
    """An only copy decides; what was changed meanwhile, or is refused, stays as it is."""
    assert Play(swap(ONE, K, expected, ITEM), asks(K, a=OLD), decides(K, reply)).result is swapped


@pytest.mark.parametrize("there", [MISS, Value(b"other", 16, token=T1), Value(b"", stub=True, token=T1)])
def test_not_expected(there):
    """Where there is nothing, something else, or a stub, nothing is sent."""
    assert Play(swap(ONE, K, expected, ITEM), asks(K, a=there)).result is False


def test_two_copies():
    """The second copy is brought to the same by its own token; one that holds another value is deleted, and the keepers
    are asked whether another process can have decided there."""
    assert Play(swap(TWO, K2, expected, ITEM), asks(K2, a=OLD, b=SAME), decides(K2, DONE), follows(DONE)).result is True
    other = Value(b"other", 16, token=T2)
    rounds = asks(K2, a=OLD, b=other), decides(K2, DONE), {"b": {Remove(K2): DONE}}
    assert Play(swap(TWO, K2, expected, ITEM), *rounds, keepers=Keepers(TWO)).result is True


def test_the_other_copy_was_changed():
    """Another process may have decided there: what this one stored is taken back, and it does not succeed."""
    back = {"a": {Remove(K2, 0, MINE): DONE}, "b": {Remove(K2): DONE}}
    rounds = asks(K2, a=OLD, b=SAME), decides(K2, DONE), follows(CONFLICT), back
    assert Play(swap(TWO, K2, expected, ITEM), *rounds).result is False


def test_a_copy_is_silent():
    """A copy that did not answer is disowned before anything is changed, and the swap counts if no other can decide."""
    silent = NodeTimeout(node="b")
    keepers = Keepers(TWO)
    play = Play(swap(TWO, K2, expected, ITEM), asks(K2, a=OLD, b=silent), decides(K2, DONE), keepers=keepers)
    assert play.result is True and play.learned
    keepers = Keepers(TWO, silent="abc")
    play = Play(swap(TWO, K2, expected, ITEM), asks(K2, a=OLD, b=silent), keepers=keepers)
    assert play.result is NoReplica


def test_the_deciding_reply_is_lost():
    """It may have been swapped: the copy is disowned, and the caller is told that it failed."""
    keepers = Keepers(ONE)
    lost = {"a": dict.fromkeys(decides(K, DONE)["a"], NodeTimeout(node="a"))}
    play = Play(swap(ONE, K, expected, ITEM), asks(K, a=OLD), lost, keepers=keepers)
    assert play.result is NoReplica and play.learned


def test_no_copy_answers():
    """Where no copy answers nothing can be told."""
    assert Play(swap(ONE, K, expected, ITEM), asks(K, a=NodeTimeout(node="a"))).result is NoReplica


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
def test_moving(phase):
    """While a key moves nothing is asked or swapped in: the caller is told to try again."""
    assert Play(swap(MOVES[phase], MOVER, expected, ITEM)).result is NoReplica
