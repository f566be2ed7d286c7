"""Reading and changing the fleet state on the keepers: majorities, proofs, agreements."""

from dataclasses import replace
from zlib import crc32

import pytest

from django_dcache.commands import Answer, Get, Store, Token, Value
from django_dcache.errors import NodeTimeout
from django_dcache.flows import Brief
from django_dcache.flows.consensus import ATTEMPTS, agree, prove
from django_dcache.flows.majorities import majority
from django_dcache.model.documents import Documents
from django_dcache.model.state import FleetState, state_key, trace_key
from django_dcache.model.topology import Phase
from support.played_flows import Keepers, Play, topology, view_of
from support.three_keepers import ABC, BUMPED, FRESH, FUTURE, SLOT, holding

KEY = state_key("f")
TRACE = Store(trace_key("f"), 0, b"1")
NEWER = replace(BUMPED, topology=topology("abc", epoch=6))
every_garbage = pytest.mark.parametrize(
    "garbage", [b"", b"garbage", b"{}", b"[1]", b"\xff" * 100], ids=lambda garbage: f"{garbage[:7]!r}"
)


def same(state):
    return state


# Majorities


@pytest.mark.parametrize(
    ("keepers", "enough"),
    [("a", 1), ("ab", 1), ("abc", 2), ("abcd", 3), ("abcde", 3), ("abcdefg", 3)],
)
def test_majority(keepers, enough):
    """More than half of the first five nodes; of one or two, one is enough."""
    fleet = topology(keepers)
    assert majority(fleet, keepers[:enough])
    assert not majority(fleet, keepers[: enough - 1])


def test_strangers_do_not_count():
    """Nodes that keep nothing make no majority."""
    assert not majority(topology("abcdefg"), "fg")


def test_majority_while_moving():
    """While keys move, the keepers of both layouts need a majority each."""
    moving = topology("abc", "cde", Phase.COPY)
    assert majority(moving, "bcd")
    assert not majority(moving, "abc") and not majority(moving, "cde")


# Proving


def test_a_quiet_fleet():
    """When nothing has changed a proof is one small command to each keeper, and as old as its question."""
    keepers = holding(ABC.state)
    for name in "abc":
        keepers.put(name, None)
        item = Store(KEY, 0, ABC.state.encode(), crc32(ABC.state.encode()))
        keepers.answer({name: [item]})
    keepers.asked.clear()
    play = Play(prove(ABC), keepers=keepers)
    assert play.result is True and keepers.asked == [Brief]
    assert [(step.state, step.proven_at) for step in play.learned] == [(ABC.state, ABC.clock.now)]


def test_news():
    """What any keeper knows more of is learned, and given to those that lack it."""
    keepers = holding(ABC.state, b=NEWER.encode())
    play = Play(prove(ABC), keepers=keepers)
    assert play.result is True
    assert play.learned[-1].state == NEWER
    assert all(keepers.state(name) == NEWER for name in "abc")


def test_a_keeper_that_lost_its_document():
    """A keeper that restarted empty is given the document again."""
    keepers = holding(NEWER, b=None)
    assert Play(prove(ABC), keepers=keepers).result is True
    assert keepers.state("b") == NEWER


@pytest.mark.parametrize("silent", ["b", "c"])
def test_one_keeper_is_silent(silent):
    """Two of three keepers are enough for a proof."""
    assert Play(prove(ABC), keepers=holding(NEWER, silent=silent)).learned[-1].state == NEWER


def test_no_majority():
    """One of three keepers proves nothing, but what it knows is learned."""
    play = Play(prove(ABC), keepers=holding(NEWER, silent="bc"))
    assert play.result is False
    assert {step.proven_at for step in play.learned} == {None}
    assert play.learned[-1].state == NEWER


def test_nobody_answers():
    """Without any answer nothing is learned or planted."""
    keepers = holding(ABC.state, silent="abc")
    assert Play(prove(ABC), keepers=keepers).result is False
    keepers = Keepers(FRESH, silent="abc", documents=dict.fromkeys("abc"))
    assert Play(prove(FRESH), keepers=keepers).result is False
    assert not any(map(keepers.document, "abc"))


@every_garbage
def test_garbage_on_one_keeper(garbage):
    """A keeper whose document makes no sense is given ours."""
    keepers = holding(NEWER, b=garbage)
    assert Play(prove(ABC), keepers=keepers).result is True
    assert keepers.state("b") == NEWER


@every_garbage
def test_garbage_everywhere(garbage):
    """A fleet whose keepers all hold garbage is given what this process knows."""
    keepers = Keepers(ABC, documents=dict.fromkeys("abc", garbage))
    assert Play(prove(ABC), keepers=keepers).result is True
    assert all(keepers.state(name) == ABC.state for name in "abc")


@pytest.mark.parametrize("silent", ["", "c"])
def test_a_newer_release(silent):
    """A document of a newer release proves nothing, raises nothing, and is never replaced."""
    keepers = holding(ABC.state, a=FUTURE, b=FUTURE, silent=silent)
    assert Play(prove(ABC), keepers=keepers).result is False
    assert keepers.document("a") == keepers.document("b") == FUTURE


SIGNED = Documents("f", lambda: [b"secret"], "required")
THEIRS = Documents("f", lambda: [b"theirs"], "required")
TRUSTING = replace(ABC, documents=SIGNED)


@pytest.mark.parametrize("written", [FleetState.encode, THEIRS.write], ids=["unsigned", "another secret"])
def test_a_forged_state(written):
    """A keeper with a state that is not signed by us is as good as silent: it is left alone, told of by name, and the
    others are a majority."""
    forged = written(replace(NEWER, topology=replace(NEWER.topology, epoch=99)))
    keepers = holding(ABC.state, a=forged, b=SIGNED.write(ABC.state), c=SIGNED.write(ABC.state))
    play = Play(prove(TRUSTING), keepers=keepers)
    assert play.result is True
    assert {name for learn in play.learned for name in learn.refused} == {"a"}
    assert all(learn.state == ABC.state for learn in play.learned)
    assert keepers.document("a") == forged


def test_a_majority_of_forged_states():
    """Where a majority is forged nothing is proven, nothing learned, and nothing is written."""
    forged = NEWER.encode()
    keepers = holding(ABC.state, a=forged, b=forged, c=SIGNED.write(ABC.state))
    play = Play(prove(TRUSTING), keepers=keepers)
    assert play.result is False
    assert all(learn.state == ABC.state and learn.proven_at is None for learn in play.learned)
    assert keepers.document("a") == keepers.document("b") == forged


def test_signing_anew():
    """A state that lacks our signature, where it may be read without it, is signed with the next look."""
    keepers = holding(ABC.state)
    fresh = replace(FRESH, documents=Documents("f", lambda: [b"secret"], "on"))
    assert Play(prove(fresh), keepers=keepers).result is True
    assert all(SIGNED.read(keepers.document(name)) == (ABC.state, True) for name in "abc")


def test_a_forged_trace():
    """Of a trace that is not signed it is believed that there was a map, and not how high its generations were."""
    keepers = Keepers(ABC, documents=dict.fromkeys("abc"))
    keepers.answer({"a": [Store(trace_key("f"), 0, b"9999998")]})
    Play(prove(replace(FRESH, documents=SIGNED)), keepers=keepers)
    assert SIGNED.read(keepers.document("a")).state.highest("a") < 9_999_998


def test_debts_are_paid():
    """What is owed is told with the next proof."""
    keepers = holding(ABC.state)
    play = Play(prove(ABC.owing({SLOT: 1})), keepers=keepers)
    assert play.result is True
    assert all(keepers.state(name) == BUMPED for name in "abc")


# Agreeing


def test_agreement():
    """A change is made to the newest state and written to every keeper."""
    keepers = holding(ABC.state, c=NEWER.encode())
    play = Play(agree(ABC, lambda state: state.bumped({("b", 3): 2})), keepers=keepers)
    assert play.result.majority
    assert play.result.state == NEWER.bumped({("b", 3): 2}) == keepers.state("a") == keepers.state("c")


def test_somebody_else_was_faster():
    """A keeper that was written meanwhile is asked again, and both changes stay."""
    view, token = ABC, Token(1, 1)
    other = view.state.bumped({("c", 1): 1})
    wanted, both = BUMPED, BUMPED.merge(other)

    def asked(state):
        return {name: {Get(KEY, token=True, uncounted=True): Value(state.encode(), token=token)} for name in "abc"}

    def told(state, **replies):
        return {
            name: {
                Store(KEY, 0, state.encode(), crc32(state.encode()), token=token): reply,
                TRACE: Answer.DONE,
            }
            for name, reply in replies.items()
        }

    play = Play(
        agree(view, lambda state: state.bumped({SLOT: 1})),
        asked(view.state),
        told(wanted, a=Answer.DONE, b=Answer.CONFLICT, c=Answer.CONFLICT),
        asked(other),
        told(both, a=Answer.DONE, b=Answer.DONE, c=Answer.DONE),
    )
    assert play.result == (both, True)


def test_a_race_without_end():
    """A call that always loses the race gives up."""
    token = Token(1, 1)
    data = BUMPED.encode()
    asked = {name: {Get(KEY, token=True, uncounted=True): Value(ABC.state.encode(), token=token)} for name in "abc"}
    document = Store(KEY, 0, data, crc32(data), token=token)
    told = {name: {document: Answer.CONFLICT, TRACE: Answer.DONE} for name in "abc"}
    play = Play(agree(ABC, lambda state: state.bumped({SLOT: 1})), *(asked, told) * ATTEMPTS)
    assert not play.result.majority


@pytest.mark.parametrize(("replies", "majority"), [("DDL", True), ("DLL", False), ("LLL", False)])
def test_lost_replies(replies, majority):
    """What was told counts only where it was confirmed."""
    words = {"D": Answer.DONE, "L": NodeTimeout()}
    token, data = Token(1, 1), BUMPED.encode()
    play = Play(
        agree(ABC, lambda state: state.bumped({SLOT: 1})),
        {name: {Get(KEY, token=True, uncounted=True): Value(ABC.state.encode(), token=token)} for name in "abc"},
        {
            name: {Store(KEY, 0, data, crc32(data), token=token): words[word], TRACE: words[word]}
            for name, word in zip("abc", replies, strict=True)
        },
    )
    assert play.result.majority is majority
    assert (BUMPED in [step.state for step in play.learned]) is majority


def test_both_groups_of_keepers():
    """While keys move, a change needs a majority of the keepers of both layouts."""
    view = view_of(topology("abc", "cde", Phase.COPY))
    for silent, enough in (("a", True), ("ad", True), ("ab", False), ("de", False)):
        keepers = Keepers(view, silent=silent)
        assert Play(agree(view, lambda state: state.bumped({SLOT: 1})), keepers=keepers).result.majority is enough


def test_what_a_change_raises():
    """What the change raises comes out, and nothing is written."""

    def refuse(state):
        raise ValueError(state)

    keepers = holding(ABC.state)
    with pytest.raises(ValueError):
        Play(agree(ABC, refuse), keepers=keepers)
    assert keepers.state("a") == ABC.state


def test_the_fleet_has_moved_on():
    """A process that knows only the old keepers is led to the new ones."""
    running = FleetState(topology("cde", epoch=9))
    keepers = Keepers(ABC, documents=dict.fromkeys("ab") | dict.fromkeys("cde", running.encode()))
    play = Play(agree(ABC, lambda state: state.bumped({SLOT: 1})), keepers=keepers)
    assert play.result == (running.bumped({SLOT: 1}), True)
    assert keepers.state("d") == play.result.state
