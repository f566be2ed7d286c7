"""What a conductor and a mover do: one lease, one epoch after the other, keys carried whole."""

from dataclasses import replace

import pytest

from django_dcache.commands import Answer, Get, Remove, Store, Token, Value
from django_dcache.errors import Conflict, NodeTimeout, NoMajority
from django_dcache.flows.resize import (
    LEASE_TTL,
    Key,
    Moved,
    ask,
    carry,
    discard,
    drop_lease,
    hold_lease,
    leave_report,
    new_fence,
    publish,
)
from django_dcache.model.documents import LEASE, Documents
from django_dcache.model.state import FleetState, conductor_key, progress_key
from django_dcache.model.topology import Phase
from support.played_flows import FLEET, WALL, Keepers, Play, layout, names_for, topology, view_of

DONE, MISS = Answer.DONE, Answer.MISS
US, THEM = b"here/1/a", b"there/2/b"
KEY = conductor_key(FLEET)
LOOK = Get(KEY, token=True)
VIEW = view_of(topology("abc"))
MOVING = view_of(topology("ab", "abc", Phase.COPY))
CLAIM = Store(KEY, 0, US, ttl=LEASE_TTL, add=True)


def held_by(owner: bytes, number: int = 1) -> Value:
    return Value(owner, token=Token(number, 1))


def silence(node: str) -> NodeTimeout:
    return NodeTimeout(node=node)


# The lease


def test_taking_the_lease() -> None:
    """A lease that nobody holds is taken on every keeper."""
    free, taken = {name: {LOOK: MISS} for name in "abc"}, {name: {CLAIM: DONE} for name in "abc"}
    assert Play(hold_lease(VIEW, US), free, taken).result is None


def test_renewing_the_lease() -> None:
    """Our own lease is renewed as the very item that was seen, so that one that ran out meanwhile is not taken back."""
    renewal = Store(KEY, 0, US, ttl=LEASE_TTL, token=Token(1, 1))
    ours, renewed = {name: {LOOK: held_by(US)} for name in "abc"}, {name: {renewal: DONE} for name in "abc"}
    assert Play(hold_lease(VIEW, US), ours, renewed).result is None


def test_lease_of_somebody_else() -> None:
    """A lease that another conductor holds on a majority is left to it, and so is what was taken on the rest."""
    looks = {"a": {LOOK: held_by(THEM)}, "b": {LOOK: held_by(THEM)}, "c": {LOOK: MISS}}
    again = {"a": {LOOK: held_by(THEM)}, "b": {LOOK: held_by(THEM)}, "c": {LOOK: held_by(US, 9)}}
    back = {"c": {Remove(KEY, 0, Token(9, 1)): DONE}}
    assert Play(hold_lease(VIEW, US), looks, {"c": {CLAIM: DONE}}, again, back).result == THEM


def test_a_planted_lease() -> None:
    """A lease that no conductor of ours signed, or one of long ago, holds nobody up: it is replaced by ours."""
    documents = Documents(FLEET, lambda: [b"secret"], "required")
    view = replace(VIEW, documents=documents)
    lease = documents.seal(LEASE, US, WALL + LEASE_TTL)
    old = documents.seal(LEASE, THEM, WALL - 3600)
    looks = {"a": {LOOK: held_by(THEM, 5)}, "b": {LOOK: held_by(old, 5)}, "c": {LOOK: held_by(lease, 5)}}
    taken = {name: {Store(KEY, 0, lease, ttl=LEASE_TTL, token=Token(5, 1)): DONE} for name in "abc"}
    assert Play(hold_lease(view, US), looks, taken).result is None


def test_lease_without_a_majority() -> None:
    """With two of three keepers silent nobody holds the lease."""
    looks = {"a": {LOOK: silence("a")}, "b": {LOOK: silence("b")}, "c": {LOOK: MISS}}
    again = {"a": {LOOK: silence("a")}, "b": {LOOK: silence("b")}, "c": {LOOK: held_by(US)}}
    back = {"c": {Remove(KEY, 0, Token(1, 1)): DONE}}
    assert Play(hold_lease(VIEW, US), looks, {"c": {CLAIM: DONE}}, again, back).result == b"no keeper that answers"


def test_giving_the_lease_back() -> None:
    """Only our own lease is given back, as the very item that was seen."""
    looks = {"a": {LOOK: held_by(US, 3)}, "b": {LOOK: held_by(THEM)}, "c": {LOOK: MISS}}
    Play(drop_lease(VIEW, US), looks, {"a": {Remove(KEY, 0, Token(3, 1)): DONE}})


# Epochs


def test_fence_grows() -> None:
    """Each conductor's fencing token is higher than all before it."""
    keepers = Keepers(VIEW)
    assert Play(new_fence(VIEW), keepers=keepers).result == 1
    assert Play(new_fence(VIEW), keepers=keepers).result == 2


def test_publishing() -> None:
    """The next epoch reaches all keepers of both layouts."""
    keepers = Keepers(VIEW, documents={**dict.fromkeys("abc", VIEW.state.encode()), "d": None})
    following = VIEW.state.topology.begin(layout(*"abcd"), 1)
    Play(publish(VIEW, following, 1), keepers=keepers)
    assert all(keepers.state(name).topology == following for name in "abcd")


def test_publishing_again() -> None:
    """What may have been published already can be published again."""
    keepers = Keepers(VIEW)
    following = VIEW.state.topology.begin(layout(*"ab"), 1)
    for _ in range(2):
        Play(publish(VIEW, following, 1), keepers=keepers)
    assert keepers.state("a").topology == following


def test_publishing_with_new_slots() -> None:
    """Nodes that must not be believed lose all their slots in the same moment."""
    keepers = Keepers(VIEW)
    Play(publish(VIEW, VIEW.state.topology.begin(layout(*"ab"), 1), 1, ["b"]), keepers=keepers)
    assert keepers.state("c").generation("b", 77) == 1 and keepers.state("c").generation("a", 77) == 0


@pytest.mark.parametrize(
    ("ahead", "complaint"),
    [
        (FleetState(topology("abc"), fence=2), "newer conductor"),
        (FleetState(topology("abc", "ab", Phase.PREPARE, epoch=6)), "wanted to publish epoch 6"),
    ],
)
def test_publishing_too_late(ahead: FleetState, complaint: str) -> None:
    """A conductor that was overtaken, by a newer one or by another epoch, publishes nothing."""
    keepers = Keepers(VIEW, documents=dict.fromkeys("abc", ahead.encode()))
    with pytest.raises(Conflict, match=complaint):
        Play(publish(VIEW, VIEW.state.topology.begin(layout(*"ab"), 1), 1), keepers=keepers)
    assert all(keepers.state(name) == ahead for name in "abc")


def test_publishing_without_a_majority() -> None:
    """An epoch that too few keepers took is reported as not published."""
    keepers = Keepers(VIEW, silent="ab")
    with pytest.raises(NoMajority):
        Play(publish(VIEW, VIEW.state.topology.begin(layout(*"ab"), 1), 1), keepers=keepers)


def test_wishes() -> None:
    """A new wish outranks the one before; the same wish again changes nothing."""
    keepers = Keepers(VIEW)
    for wish, serial in (("pause", 1), ("pause", 1), ("run", 2)):
        Play(ask(VIEW, wish), keepers=keepers)
        assert (keepers.state("a").control.wish, keepers.state("a").control.serial) == (wish, serial)


def test_reports() -> None:
    """A report is left on every keeper, whether they answer or not."""
    store = Store(progress_key(FLEET), 0, b"r", ttl=3600)
    Play(leave_report(VIEW, b"r"), {"a": {store: DONE}, "b": {store: silence("b")}, "c": {store: DONE}})


# Keys


def keys(view, *names):
    return [Key(name, view.place(name).slot, view.place(name).route) for name in names]


def test_carrying() -> None:
    """Keys are filled on their joining node, and what became of each is counted."""
    filled, there, gone, taken = names = names_for(MOVING, 4, fill=("a",), joining=("c",))
    leases = [Get(name, value=False, lease=True) for name in names]
    won = [Value(None, token=Token(number, 1), won=True, stub=True) for number in range(1, 5)]
    play = Play(
        carry(MOVING, MOVING.epoch, keys(MOVING, *names)),
        {"c": dict(zip(leases, [won[0], Value(None), won[2], Value(None, stub=True)], strict=True))},
        {"a": {Get(filled, ttl=True): Value(b"xyz", 1), Get(gone, ttl=True): MISS, Get(taken, ttl=True): Value(b"y")}},
        {"c": {Store(filled, 0, b"xyz", 1, token=Token(1, 1)): DONE, Remove(gone, 0, Token(3, 1)): DONE}},
    )
    assert play.result == Moved(filled=1, bytes=3, gone=1, failed=1, busy=1)
    assert not play.result.complete and Moved(filled=1).complete


def test_carrying_to_a_silent_node() -> None:
    """Keys whose joining node does not answer are there to be tried again."""
    (name,) = names_for(MOVING, 1, fill=("a",), joining=("c",))
    play = Play(
        carry(MOVING, MOVING.epoch, keys(MOVING, name)),
        {"c": {Get(name, value=False, lease=True): silence("c")}},
        {"a": {Get(name, ttl=True): Value(b"x")}},
    )
    assert play.result == Moved(failed=1)


def test_a_fill_that_may_have_happened() -> None:
    """A key whose fill got no answer counts as not moved, and no slot is given up for it."""
    (name,) = names_for(MOVING, 1, fill=("a",), joining=("c",))
    play = Play(
        carry(MOVING, MOVING.epoch, keys(MOVING, name)),
        {"c": {Get(name, value=False, lease=True): Value(None, token=Token(1, 1), won=True, stub=True)}},
        {"a": {Get(name, ttl=True): Value(b"x")}},
        {"c": {Store(name, 0, b"x", token=Token(1, 1)): silence("c")}},
    )
    assert play.result == Moved(failed=1) and not play.owed


def test_discarding() -> None:
    """Keys are deleted where they do not belong, under the generation they have there; those that were there count."""
    view = view_of(replace(MOVING.state, generations={}).bumped_whole("a"))
    one, two = names_for(view, 2, fill=("a",))
    removals = {Remove(one, 1): DONE, Remove(two, 1): MISS}
    assert Play(discard(view, view.epoch, "a", keys(view, one, two)), {"a": removals}).result == 1


def test_discarding_on_a_silent_node() -> None:
    """A node that does not answer is a failure, whatever it deleted."""
    (name,) = names_for(MOVING, 1, fill=("a",))
    with pytest.raises(NodeTimeout):
        Play(discard(MOVING, MOVING.epoch, "a", keys(MOVING, name)), {"a": {Remove(name): silence("a")}})


@pytest.mark.parametrize("act", [lambda view: carry(view, 4, []), lambda view: discard(view, 4, "a", [])])
def test_keys_of_another_epoch(act) -> None:
    """Keys that were listed under another epoch are not touched: their routes were other ones."""
    with pytest.raises(Conflict):
        Play(act(MOVING))
