"""Touching: every copy gets the new time to live, and none outlives the others."""

import pytest

from django_dcache.commands import Answer, Get, Refused, Remove, Store, Token, Touch, Value
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows.write import FILLS, touch
from django_dcache.model.topology import Phase
from support.played_flows import Keepers, Play, topology, view_of
from support.small_fleets import (
    K2,
    MOVER,
    MOVES,
    ONE,
    TWO,
    K,
    slot_of,
)

DONE, MISS = Answer.DONE, Answer.MISS
OOM = Refused("SERVER_ERROR out of memory storing object")

# Touch


@pytest.mark.parametrize(("reply", "touched"), [(DONE, True), (MISS, False), (NodeTimeout(), NoReplica), (OOM, False)])
def test_touch(reply, touched):
    """A touch says whether there was something to touch; a lost one changes no value and needs no bump."""
    assert Play(touch(ONE, K, 9), {"a": {Touch(K, 0, 9): reply}}).result is touched


def test_touch_of_replicas():
    """Every replica is touched, and one that has the key is enough."""
    play = Play(touch(TWO, K2, 9), {"a": {Touch(K2, 0, 9): MISS}, "b": {Touch(K2, 0, 9): DONE}})
    assert play.result is True


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.COPY])
def test_touch_before_flip(phase):
    """Until flip the old copy is touched, and a new one with the old TTL is purged."""
    view = MOVES[phase]
    play = Play(touch(view, MOVER, 9), {"a": {Touch(MOVER, 0, 9): DONE}}, {"c": {Remove(MOVER): DONE}})
    assert play.result is True


def test_touch_in_copy_of_what_was_moved():
    """In copy what its source does not have, because a process in flip has moved it, is touched by the view of flip."""
    flip = view_of(topology("ab", "abc", Phase.FLIP, epoch=6))
    play = Play(
        touch(MOVES[Phase.COPY], MOVER, 9),
        {"a": {Touch(MOVER, 0, 9): MISS}},
        {"c": {Get(MOVER, ttl=True, lease=True): Value(b"x", 16, 5)}},
        {"a": {Remove(MOVER): MISS}},
        {"c": {Touch(MOVER, 0, 9): DONE}},
        keepers=Keepers(flip),
        waited=flip,
    )
    assert play.result is True


@pytest.mark.parametrize("reply", [NodeTimeout(), OOM])
def test_lost_purge_of_a_touch(reply):
    """A purge that may have missed leaves a copy with the old TTL: its slot is bumped."""
    view, keepers = MOVES[Phase.SETTLE], Keepers(MOVES[Phase.SETTLE])
    play = Play(
        touch(view, MOVER, 9), {"a": {Remove(MOVER): reply}}, {"c": {Touch(MOVER, 0, 9): DONE}}, keepers=keepers
    )
    assert play.result is True
    assert keepers.state("b").generation("a", slot_of(view, MOVER)) == 1


def test_touch_in_flip_moves_the_key_first():
    """In flip a key is brought to its new copy before the old one is purged, and touched there."""
    view, token = MOVES[Phase.FLIP], Token(9, 1)
    lease = Value(b"", 0, None, token, won=True, stub=True)
    play = Play(
        touch(view, MOVER, 9),
        {"c": {Get(MOVER, ttl=True, lease=True): lease}},
        {"a": {Get(MOVER, ttl=True): Value(b"x", 16, 5)}},
        {"c": {Store(MOVER, 0, b"x", 16, 5, token=token): DONE}},
        {"a": {Remove(MOVER): DONE}},
        {"c": {Touch(MOVER, 0, 9): DONE}},
    )
    assert play.result is True


def test_touch_of_what_somebody_else_moves():
    """A touch in flip waits for the key to arrive rather than lose it, and then brings it if it can."""
    view = MOVES[Phase.FLIP]
    ask = {"c": {Get(MOVER, ttl=True, lease=True): Value(b"", token=Token(7, 1), stub=True)}}
    source = {"a": {Get(MOVER, ttl=True): Value(b"x", 16, 5)}}
    fill = {"c": {Store(MOVER, 0, b"x", 16, 5, token=Token(7, 1)): DONE}}
    touched = {"a": {Remove(MOVER): DONE}}, {"c": {Touch(MOVER, 0, 9): DONE}}
    play = Play(touch(view, MOVER, 9), *(ask, source) * (FILLS - 1), fill, *touched)
    assert play.result is True and len(play.pauses) == FILLS - 2
