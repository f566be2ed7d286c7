"""Adding while keys move: one copy decides, under the lease of the new owner where its copy is being filled."""

import pytest

from django_dcache.commands import Answer, Remove
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows.add import add
from django_dcache.flows.add_gate import TRIES, WAIT
from django_dcache.model.topology import Phase
from support.additions import (
    BUSY,
    DONE,
    GATE,
    ITEM,
    MISS,
    THERE,
    WON,
    alone,
    leased,
    looks,
    stores,
)
from support.played_flows import Play
from support.small_fleets import MOVER, MOVES


def test_in_prepare():
    """In prepare the old copy decides, and what joins is purged after it."""
    play = Play(add(MOVES[Phase.PREPARE], MOVER, ITEM), alone(DONE, name=MOVER), {"c": {Remove(MOVER): MISS}})
    assert play.result is True


def test_in_copy():
    """In copy the old copy decides while its caller holds the new one's lease, and gives it back."""
    play = Play(
        add(MOVES[Phase.COPY], MOVER, ITEM),
        WON,
        alone(DONE, name=MOVER),
        {"c": {Remove(MOVER, 0, GATE): DONE}},
        {"c": {Remove(MOVER): MISS}},
    )
    assert play.result is True


@pytest.mark.parametrize("reply", [Answer.CONFLICT, MISS, NodeTimeout()])
def test_void_gate_in_copy(reply):
    """If the lease was void in the end somebody of the next phase decided: what was added is taken back."""
    play = Play(
        add(MOVES[Phase.COPY], MOVER, ITEM),
        WON,
        alone(DONE, name=MOVER),
        {"c": {Remove(MOVER, 0, GATE): reply}},
        {"a": {Remove(MOVER): DONE}},
        {"c": {Remove(MOVER): DONE}},
    )
    assert play.result is False


@pytest.mark.parametrize(("reply", "added"), [(DONE, True), (Answer.CONFLICT, False)])
def test_in_flip(reply, added):
    """In flip the new copy decides by its lease, when the old one does not have the key."""
    rounds = WON, looks(MOVER, "a", MISS), {"c": {stores(MOVER, GATE): reply}}
    after = ({"a": {Remove(MOVER): MISS}},) if added else ()
    assert Play(add(MOVES[Phase.FLIP], MOVER, ITEM), *rounds, *after).result is added


def test_not_moved_yet():
    """In flip what only the old copy has is there, and the lease is given back."""
    play = Play(
        add(MOVES[Phase.FLIP], MOVER, ITEM), WON, looks(MOVER, "a", THERE), {"c": {Remove(MOVER, 0, GATE): DONE}}
    )
    assert play.result is False


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
@pytest.mark.parametrize(("reply", "result"), [(THERE, False), (MISS, False), (NodeTimeout(), NoReplica)])
def test_no_gate(phase, reply, result):
    """If the new copy is there, or its lease can't be had, nothing is added; if it is silent, that can't be told."""
    assert Play(add(MOVES[phase], MOVER, ITEM), leased(reply)).result is result


@pytest.mark.parametrize("phase", [Phase.COPY, Phase.FLIP])
def test_waiting_for_the_gate(phase):
    """While somebody else holds the lease a caller waits, then voids it, and gives up in the end."""
    void = {"c": {Remove(MOVER, 0, GATE): DONE}}
    play = Play(add(MOVES[phase], MOVER, ITEM), *[BUSY] * (TRIES - 1), void, BUSY)
    assert play.result is False and play.pauses == [WAIT] * TRIES


def test_in_settle():
    """In settle the new copy decides, and the old one is purged."""
    play = Play(add(MOVES[Phase.SETTLE], MOVER, ITEM), alone(DONE, name=MOVER, node="c"), {"a": {Remove(MOVER): MISS}})
    assert play.result is True
