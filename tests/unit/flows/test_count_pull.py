"""Counting what moves to other nodes: where it counts in each phase, and how a counter is pulled."""

import pytest

from django_dcache.commands import Answer, Get, Remove, Store, Token, Value
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows.count import count
from django_dcache.flows.count_pull import PULL_WAIT, PULLS
from django_dcache.model.topology import Phase
from support.counting import adds, number
from support.played_flows import Keepers, Play, topology, view_of
from support.small_fleets import MOVER, MOVES

CONFLICT, DONE, MISS = Answer.CONFLICT, Answer.DONE, Answer.MISS
HERE, THERE = Token(5, 1), Token(9, 2)
LEASED = {"c": {Get(MOVER, lease=True): Value(b"", token=THERE, won=True, stub=True)}}
ARRIVED = {"c": {Get(MOVER, lease=True): Value(b"7", 2, token=THERE)}}
BUSY = {"c": {Get(MOVER, lease=True): Value(b"", token=THERE, stub=True)}}
SOURCE = {"a": {Get(MOVER, ttl=True, token=True): Value(b"7", 2, 50, HERE)}}
NO_SOURCE = {"a": {Get(MOVER, ttl=True, token=True): MISS}}

# Keys on the move


def test_in_prepare():
    """In prepare the old copy counts, and what joins is voided after it: it may be from earlier days."""
    play = Play(count(MOVES[Phase.PREPARE], MOVER, 1), {"a": {adds(MOVER): number(8)}}, {"c": {Remove(MOVER): DONE}})
    assert play.result == 8


AHEAD = {"a": {adds(MOVER): number(8)}}
LOOK = Get(MOVER, token=True)
VOID = {"c": {Remove(MOVER, 0, THERE): DONE}}


@pytest.mark.parametrize(
    "rounds",
    [
        ({"c": {LOOK: MISS}},),
        ({"c": {LOOK: Value(b"7", 2, token=THERE)}}, VOID),
        ({"c": {LOOK: Value(b"", token=THERE, stub=True)}}, VOID),
        ({"c": {LOOK: Value(b"8", 2, token=THERE)}},),
        ({"c": {LOOK: Value(b"9", 2, token=THERE)}},),
        (
            {"c": {LOOK: Value(b"", token=THERE, stub=True)}},
            {"c": {Remove(MOVER, 0, THERE): CONFLICT}},
            {"c": {LOOK: Value(b"8", 2, token=THERE)}},
        ),
    ],
    ids=["absent", "filled before", "about to be filled", "pulled since", "counted on", "pulled meanwhile"],
)
def test_in_copy(rounds):
    """In copy the old copy counts. What joins is voided after it, unless it was pulled since by a process in flip."""
    assert Play(count(MOVES[Phase.COPY], MOVER, 1), AHEAD, *rounds).result == 8


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.COPY])
def test_no_counter_before_flip(phase):
    """Until flip the old copy is the truth: what it does not have is not there, if the fleet is in no later epoch."""
    view = MOVES[phase]
    assert Play(count(view, MOVER, 1), {"a": {adds(MOVER): MISS}}, keepers=Keepers(view)).result is None


def test_in_settle():
    """In settle the old copy is purged, and the new one counts."""
    play = Play(count(MOVES[Phase.SETTLE], MOVER, 1), {"a": {Remove(MOVER): MISS}}, {"c": {adds(MOVER): number(8)}})
    assert play.result == 8


COUNTED = ({"a": {Remove(MOVER): MISS}}, {"c": {adds(MOVER): number(8)}})
FLIP = MOVES[Phase.FLIP]
STORE = Store(MOVER, 0, b"7", 2, 50, token=THERE)
LATER = view_of(topology("ab", "abc", Phase.FLIP, epoch=6))
"""The fleet has come to flip."""


def test_a_counter_that_was_pulled():
    """What a process in copy does not find at its source it looks for by the view of the epoch that the fleet is in."""
    rounds = {"a": {adds(MOVER): MISS}}, ARRIVED, NO_SOURCE, *COUNTED
    assert Play(count(MOVES[Phase.COPY], MOVER, 1), *rounds, keepers=Keepers(LATER), waited=LATER).result == 8


def test_a_counter_that_was_pulled_and_no_time():
    """If the request has no time left for that, it can't be told whether there is a counter."""
    missed = {"a": {adds(MOVER): MISS}}
    assert Play(count(MOVES[Phase.COPY], MOVER, 1), missed, keepers=Keepers(LATER)).result is NoReplica


def test_pull():
    """In flip a counter is copied under a lease, its source is deleted as just what was copied, and then it counts."""
    play = Play(
        count(FLIP, MOVER, 1),
        LEASED,
        SOURCE,
        {"c": {STORE: DONE}},
        {"a": {Remove(MOVER, 0, HERE): DONE}},
        *COUNTED,
    )
    assert play.result == 8


def test_pulled_already():
    """A counter whose source is gone has been pulled, and counts."""
    assert Play(count(FLIP, MOVER, 1), ARRIVED, NO_SOURCE, *COUNTED).result == 8


def test_filled_already():
    """A counter that a reader has filled counts once its source is deleted."""
    play = Play(count(FLIP, MOVER, 1), ARRIVED, SOURCE, {"a": {Remove(MOVER, 0, HERE): DONE}}, *COUNTED)
    assert play.result == 8


def test_source_counts_on():
    """If another process still counts on the source, the copy is behind: it is voided, and the counter pulled again."""
    ahead = Value(b"8", 2, 50, Token(6, 1))
    play = Play(
        count(FLIP, MOVER, 1),
        LEASED,
        SOURCE,
        {"c": {STORE: DONE}},
        {"a": {Remove(MOVER, 0, HERE): CONFLICT}},
        ARRIVED,
        {"a": {Get(MOVER, ttl=True, token=True): ahead}},
        {"c": {Remove(MOVER, 0, THERE): DONE}},
        LEASED,
        {"a": {Get(MOVER, ttl=True, token=True): ahead}},
        {"c": {Store(MOVER, 0, b"8", 2, 50, token=THERE): DONE}},
        {"a": {Remove(MOVER, 0, Token(6, 1)): DONE}},
        *COUNTED,
    )
    assert play.result == 8


def test_another_pulls_it_too():
    """If another process has pulled what this one has, and counts on it already, nothing is taken back."""
    gone = {"a": {Remove(MOVER, 0, HERE): MISS}}
    assert Play(count(FLIP, MOVER, 1), ARRIVED, SOURCE, gone, ARRIVED, NO_SOURCE, *COUNTED).result == 8


def test_copy_that_fell_behind():
    """A copy that differs from its source is voided before it counts."""
    ahead = {"a": {Get(MOVER, ttl=True, token=True): Value(b"9", 2, 50, HERE)}}
    play = Play(count(FLIP, MOVER, 1), ARRIVED, ahead, VOID, ARRIVED, NO_SOURCE, *COUNTED)
    assert play.result == 8


def test_no_counter_in_flip():
    """Where neither copy has it there is no counter, and the lease is given back."""
    assert Play(count(FLIP, MOVER, 1), LEASED, NO_SOURCE, VOID, keepers=Keepers(FLIP)).result is None


def test_somebody_else_pulls():
    """While somebody else holds the lease a caller waits, then voids it: whoever held it may be dead."""
    assert Play(count(FLIP, MOVER, 1), BUSY, SOURCE, ARRIVED, NO_SOURCE, *COUNTED).pauses == [PULL_WAIT]
    play = Play(count(FLIP, MOVER, 1), *(BUSY, SOURCE) * (PULLS - 1), VOID, BUSY, SOURCE)
    assert play.result is NoReplica and len(play.pauses) == PULLS


@pytest.mark.parametrize("silent", ["a", "c"])
def test_silence_in_flip(silent):
    """If either copy is silent before it is pulled, nothing is counted."""
    silence = {
        "c": ({"c": {Get(MOVER, lease=True): NodeTimeout()}}, SOURCE),
        "a": (LEASED, {"a": {Get(MOVER, ttl=True, token=True): NodeTimeout()}}),
    }
    assert Play(count(FLIP, MOVER, 1), *silence[silent]).result is NoReplica


def test_last_second():
    """A counter with less than a second to live is gone: its TTL reads 0, which would mean for ever."""
    dying = {"a": {Get(MOVER, ttl=True, token=True): Value(b"7", 2, 0, HERE)}}
    assert Play(count(FLIP, MOVER, 1), LEASED, dying, VOID, keepers=Keepers(FLIP)).result is None


@pytest.mark.parametrize(("phase", "silent"), [(Phase.COPY, "a"), (Phase.COPY, "c"), (Phase.SETTLE, "a")])
def test_lost_reply_of_what_moves(phase, silent):
    """A reply lost while a counter moves disowns the silent copy and the joining one."""
    view = MOVES[phase]
    keepers = Keepers(view)
    rounds = {
        (Phase.COPY, "a"): ({"a": {adds(MOVER): NodeTimeout()}},),
        (Phase.COPY, "c"): (AHEAD, {"c": {LOOK: NodeTimeout()}}),
        (Phase.SETTLE, "a"): ({"a": {Remove(MOVER): NodeTimeout()}}, {"c": {adds(MOVER): MISS}}),
    }[phase, silent]
    play = Play(count(view, MOVER, 1), *rounds, keepers=keepers)
    assert play.result == {"c": 8, "a": NoReplica if phase is Phase.COPY else None}[silent]
    state, slot = keepers.state("b"), view.place(MOVER).slot
    assert state.generation(silent, slot) == state.generation("c", slot) == 1
