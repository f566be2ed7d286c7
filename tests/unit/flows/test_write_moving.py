"""Writing what moves to other nodes: the rounds of each phase."""

import pytest

from django_dcache.commands import Answer, Refused, Remove
from django_dcache.errors import NodeTimeout
from django_dcache.flows.write import write
from django_dcache.model.topology import Phase
from support.played_flows import Keepers, Play
from support.small_fleets import (
    ITEM,
    LEAVES,
    MOVER,
    MOVES,
    MOVES2,
    STAYER,
    STAYS,
    outcome,
    slot_of,
    store,
)

DONE, MISS = Answer.DONE, Answer.MISS
OOM = Refused("SERVER_ERROR out of memory storing object")

# Keys on the move


def test_set_in_prepare_and_copy():
    """Until flip the old copy is written first, and what joins is purged after it."""
    for phase in (Phase.PREPARE, Phase.COPY):
        play = Play(write(MOVES[phase], {MOVER: ITEM}), {"a": {store(MOVER): DONE}}, {"c": {Remove(MOVER): MISS}})
        assert outcome(play, MOVER).successful


def test_set_in_flip_and_settle():
    """From flip on the old copy is purged first, and the new one written after it."""
    for phase in (Phase.FLIP, Phase.SETTLE):
        play = Play(write(MOVES[phase], {MOVER: ITEM}), {"a": {Remove(MOVER): DONE}}, {"c": {store(MOVER): DONE}})
        assert outcome(play, MOVER).successful


@pytest.mark.parametrize("phase", [Phase.FLIP, Phase.SETTLE])
def test_set_of_what_partly_stays(phase):
    """From flip on a copy that stays is written together with the purge of one that leaves."""
    play = Play(
        write(MOVES2[phase], {STAYER: ITEM}),
        {STAYS: {store(STAYER): DONE}, LEAVES: {Remove(STAYER): DONE}},
        {"c": {store(STAYER): DONE}},
    )
    assert outcome(play, STAYER).successful


@pytest.mark.parametrize("phase", list(MOVES))
def test_delete_of_what_moves(phase):
    """A delete goes to the old copy first and to the new one second, in every phase."""
    play = Play(write(MOVES[phase], {MOVER: None}), {"a": {Remove(MOVER): DONE}}, {"c": {Remove(MOVER): MISS}})
    assert outcome(play, MOVER).acknowledged and outcome(play, MOVER).existed


@pytest.mark.parametrize("phase", list(MOVES))
def test_lost_reply_of_what_moves(phase):
    """A reply lost at the old copy bumps the joining one too: it may be filled from the old one at this moment."""
    view, keepers = MOVES[phase], Keepers(MOVES[phase])
    play = Play(
        write(view, {MOVER: None}),
        {"a": {Remove(MOVER): NodeTimeout()}},
        {"c": {Remove(MOVER): MISS}},
        keepers=keepers,
    )
    assert outcome(play, MOVER).acknowledged
    state = keepers.state("b")
    assert [state.generation(node, slot_of(view, MOVER)) for node in "abc"] == [1, 0, 1]


def test_refused_by_what_joins():
    """A value that the joining copy refuses is removed everywhere, in the order of the phase."""
    play = Play(
        write(MOVES[Phase.FLIP], {MOVER: ITEM}),
        {"a": {Remove(MOVER): DONE}},
        {"c": {store(MOVER): OOM}},
        {"a": {Remove(MOVER): MISS}},
        {"c": {Remove(MOVER): MISS}},
    )
    assert not outcome(play, MOVER).successful and outcome(play, MOVER).acknowledged
