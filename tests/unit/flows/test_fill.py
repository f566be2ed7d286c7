"""Filling: an item is copied under a lease, whole, and never over anything newer."""

import pytest

from django_dcache.commands import Answer, Get, Refused, Remove, Store, Token, Value
from django_dcache.engines.memcached.protocol import MONTH
from django_dcache.errors import LeaseLost, NodeDown, NodeTimeout
from django_dcache.flows.fill import fill
from django_dcache.model.topology import Phase
from django_dcache.model.view import Bump
from support.played_flows import Play, names_for, topology, view_of

DONE, MISS = Answer.DONE, Answer.MISS
VIEW = view_of(topology("ab", "abc", Phase.COPY))
A1, A2, A3 = names_for(VIEW, 3, fill=("a",), joining=("c",))
(B1,) = names_for(VIEW, 1, fill=("b",), joining=("c",))
TWO = view_of(topology("abd", "abcd", Phase.COPY, replicas=2))
(AB,) = names_for(TWO, 1, fill=("a", "b"), joining=("c",))


def places(*names, view=VIEW):
    return {name: view.place(name) for name in names}


def token(number):
    return Token(number, 1)


def ask(name):
    return Get(name, ttl=True, lease=True)


def won(number=1):
    return Value(b"", 0, None, token(number), won=True, stub=True)


def source(name, generation=0):
    return Get(name, generation, ttl=True)


def put(name, data=b"x", flags=16, ttl=None, number=1):
    return Store(name, 0, data, flags, ttl, token=token(number))


def counts(play):
    result = play.result
    return result.filled, result.gone, result.failed, result.busy


def test_fill():
    """The lease is taken first, then the source is read, then the item is stored by the lease's token."""
    play = Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1): Value(b"x", 16)}},
        {"c": {put(A1): DONE}},
    )
    assert play.result == {A1: Value(b"x", 16)}
    assert counts(play) == (1, 0, 0, 0) and play.result.size == 1


def test_there_already():
    """What the target has is found there, and nothing is copied."""
    play = Play(fill(VIEW, places(A1), "c"), {"c": {ask(A1): Value(b"y", 16)}})
    assert play.result == {A1: Value(b"y", 16)} and counts(play) == (0, 0, 0, 0)


def test_only_its_existence():
    """A mover does not want the value that is there already."""
    existence = Get(A1, value=False, lease=True)
    play = Play(fill(VIEW, places(A1), "c", False), {"c": {existence: Value(None)}})
    assert counts(play) == (0, 0, 0, 0)


def test_many():
    """Any number of names costs three rounds, with one batch for each node."""
    play = Play(
        fill(VIEW, places(A1, B1, A2, A3), "c"),
        {"c": {ask(A1): won(1), ask(B1): won(2), ask(A2): Value(b"there", 16), ask(A3): won(3)}},
        {"a": {source(A1): Value(b"a", 1), source(A3): MISS}, "b": {source(B1): Value(b"b", 2)}},
        {"c": {put(A1, b"a", 1): DONE, put(B1, b"b", 2, number=2): DONE, Remove(A3, 0, token(3)): DONE}},
    )
    assert {name: value.data for name, value in play.result.items()} == {A1: b"a", B1: b"b", A2: b"there"}
    assert counts(play) == (2, 1, 0, 0)


@pytest.mark.parametrize("gone", [MISS, Value(b"", stub=True), Refused("SERVER_ERROR")])
def test_gone(gone):
    """What the source does not have either is gone, and the lease is given back."""
    play = Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1): gone}},
        {"c": {Remove(A1, 0, token(1)): DONE}},
    )
    assert not play.result and counts(play) == (0, 1, 0, 0)


@pytest.mark.parametrize(("left", "ttl"), [(None, None), (1, 1), (60, 60), (MONTH + 1, MONTH + 1)])
def test_ttl(left, ttl):
    """A copy keeps the time that its source has left, for ever and above 30 days too."""
    Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1): Value(b"x", 16, left)}},
        {"c": {put(A1, ttl=ttl): DONE}},
    )


def test_last_second():
    """With less than a second to live an item is read but not copied: its TTL reads 0, which would mean for ever."""
    play = Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1): Value(b"x", 16, 0)}},
        {"c": {Remove(A1, 0, token(1)): DONE}},
    )
    assert play.result and play.result.filled == 0


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Answer.CONFLICT, (0, 0, 1, 1)),
        (MISS, (0, 0, 1, 1)),
        (NodeTimeout(), (0, 0, 1, 0)),
        (LeaseLost(), (0, 0, 1, 0)),
        (Refused("SERVER_ERROR object too large for cache"), (0, 0, 0, 0)),
    ],
)
def test_not_stored(reply, expected):
    """A void token means that somebody has just written; whatever becomes of the copy, the value was found."""
    play = Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1): Value(b"x", 16)}},
        {"c": {put(A1): reply}},
    )
    assert play.result == {A1: Value(b"x", 16)} and counts(play) == expected


def test_somebody_else_fills():
    """While somebody else holds the lease the source is read, and nothing is stored."""
    play = Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): Value(b"", token=token(1), stub=True)}},
        {"a": {source(A1): Value(b"x", 16)}},
    )
    assert play.result == {A1: Value(b"x", 16)} and counts(play) == (0, 0, 1, 1)


@pytest.mark.parametrize("silence", [NodeTimeout(), NodeDown()])
def test_silent_target(silence):
    """If the target is silent the source is read, and nothing is stored."""
    play = Play(fill(VIEW, places(A1), "c"), {"c": {ask(A1): silence}}, {"a": {source(A1): Value(b"x", 16)}})
    assert play.result == {A1: Value(b"x", 16)} and counts(play) == (0, 0, 1, 0)


def test_silent_source():
    """If the source is silent nobody knows, and the lease is given back."""
    play = Play(
        fill(VIEW, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1): NodeTimeout()}},
        {"c": {Remove(A1, 0, token(1)): DONE}},
    )
    assert not play.result and counts(play) == (0, 0, 1, 0) and set(play.result.silent) == {A1}


@pytest.mark.parametrize("first", [MISS, NodeTimeout(), Value(b"", stub=True)])
def test_next_source(first):
    """What the first source does not have is asked of the next one."""
    play = Play(
        fill(TWO, places(AB, view=TWO), "c"),
        {"c": {ask(AB): won()}},
        {"a": {source(AB): first}},
        {"b": {source(AB): Value(b"x", 16)}},
        {"c": {put(AB): DONE}},
    )
    assert play.result == {AB: Value(b"x", 16)} and counts(play) == (1, 0, 0, 0)


# Bumped slots


def bumped(node, name, *, empty, closed):
    now, slot = VIEW.clock.now, VIEW.place(name).slot
    return view_of(VIEW.state.bumped({(node, slot): 1}), bumps={(node, slot): Bump(now + empty, now + closed)})


@pytest.mark.parametrize(("empty", "closed"), [(1, 2), (-1, 1)])
def test_a_target_that_is_not_open(empty, closed):
    """Into a slot that others may still write in its old generation nothing is filled."""
    view = bumped("c", A1, empty=empty, closed=closed)
    play = Play(fill(view, places(A1), "c"), {"a": {source(A1): Value(b"x", 16)}})
    assert play.result == {A1: Value(b"x", 16)} and counts(play) == (0, 0, 1, 0)


def test_without_a_proof():
    """A process whose view is not proven reads what there is at a source, and stores it nowhere."""
    view = view_of(VIEW.state, freshness=1.0)
    view.clock.advance(1.0)
    play = Play(fill(view, places(A1), "c"), {"a": {source(A1): Value(b"x", 16)}})
    assert play.result == {A1: Value(b"x", 16)} and counts(play) == (0, 0, 1, 0)


def test_a_source_that_is_empty():
    """A source where nobody can have stored anything has nothing to copy."""
    view = bumped("a", A1, empty=1, closed=2)
    play = Play(fill(view, places(A1), "c"), {"c": {ask(A1): won()}}, {"c": {Remove(A1, 0, token(1)): DONE}})
    assert not play.result and counts(play) == (0, 1, 0, 0)


def test_a_source_that_is_closed():
    """What somebody may have stored in the source's new generation may be copied."""
    view = bumped("a", A1, empty=-1, closed=1)
    play = Play(
        fill(view, places(A1), "c"),
        {"c": {ask(A1): won()}},
        {"a": {source(A1, 1): Value(b"x", 16)}},
        {"c": {put(A1): DONE}},
    )
    assert counts(play) == (1, 0, 0, 0)


def test_a_source_that_is_owed():
    """From what this process could not disown nothing is copied."""
    view = VIEW.owing({("a", VIEW.place(A1).slot): 1})
    play = Play(fill(view, places(A1), "c"), {"c": {ask(A1): won()}}, {"c": {Remove(A1, 0, token(1)): DONE}})
    assert not play.result and counts(play) == (0, 0, 1, 0)


def test_sharing_a_lease():
    """The stub of somebody who seems to be dead is filled under its own token; the second to do so finds it void."""
    taken = Value(b"", token=token(4), stub=True)
    for reply, filled in ((DONE, (1, 0, 0, 0)), (Answer.CONFLICT, (0, 0, 1, 1))):
        play = Play(
            fill(VIEW, places(A1), "c", share=True),
            {"c": {ask(A1): taken}},
            {"a": {source(A1): Value(b"x", 16)}},
            {"c": {put(A1, number=4): reply}},
        )
        assert counts(play) == filled
