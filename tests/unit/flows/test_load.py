"""Loading what is missing: one caller loads, the others wait, and nothing newer is overwritten."""

import pytest

from django_dcache.commands import Answer, Get, Remove, Store, Token, Value
from django_dcache.errors import LeaseLost, NodeDown, NodeTimeout, NoReplica
from django_dcache.flows import Item
from django_dcache.flows.load import FIRST_WAIT, fetch_or_load
from django_dcache.model.topology import Phase
from support.played_flows import Keepers, Play, name_for, topology, view_of

HIT = Value(b"x", 16)
STUB = Value(b"", token=Token(9, 1), stub=True)
ONE = view_of(topology("abc"))
TWO = view_of(topology("abc", replicas=2))
K = name_for(ONE, read=("a",))
K2 = name_for(TWO, read=("a", "b"))
ITEM = Item(16, b"loaded", 60)
MOVES = {phase: view_of(topology("ab", "abc", phase)) for phase in Phase if phase is not Phase.STABLE}
MOVER = name_for(MOVES[Phase.PREPARE], read=("a",), joining=("c",))


def won(serial, cas=9):
    """The reply to the first who asks with a lease."""
    return Value(b"", 0, None, Token(cas, serial), won=True, stub=True)


def test_loading_what_is_there():
    """What is there is not loaded."""
    play = Play(fetch_or_load(ONE, K, pytest.fail), {"a": {Get(K): HIT}})
    assert play.result == HIT


def test_loading():
    """What is missing is loaded under a lease, and stored by its token."""
    play = Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}},
        loaded=ONE,
    )
    assert play.result is None


def test_loading_for_two_replicas():
    """Each copy gives its own lease, and is stored by its own token."""
    play = Play(
        fetch_or_load(TWO, K2, lambda: ITEM),
        {"a": {Get(K2): Answer.MISS}},
        {"b": {Get(K2): Answer.MISS}},
        {"a": {Get(K2, lease=True): won(1, 8)}, "b": {Get(K2, lease=True): won(2, 9)}},
        {"a": {Store(K2, 0, b"loaded", 16, 60, token=Token(8, 1)): Answer.DONE}},
        {"b": {Store(K2, 0, b"loaded", 16, 60, token=Token(9, 2)): Answer.DONE}},
        loaded=TWO,
    )
    assert play.result is None


def test_loading_behind_a_dead_node():
    """What no replica can tell is not loaded under a lease."""
    assert Play(fetch_or_load(ONE, K, lambda: ITEM), {"a": {Get(K): NodeDown()}}).result is NoReplica


@pytest.mark.parametrize("found", [HIT, STUB])
def test_waiting_for_another_loader(found):
    """While another caller loads the others look again, ever more rarely, and load too when their time is over."""
    turn = {"a": {Get(K, lease=True): STUB}}
    if found is HIT:
        rounds = {"a": {Get(K): STUB}}, turn, turn, {"a": {Get(K, lease=True): HIT}}
        play = Play(fetch_or_load(ONE, K, pytest.fail, 5), *rounds, waited=ONE)
        assert play.result == HIT and play.pauses == [FIRST_WAIT, 2 * FIRST_WAIT]
    else:
        rounds = {"a": {Get(K): STUB}}, turn, {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}}
        assert Play(fetch_or_load(ONE, K, lambda: ITEM, 0), *rounds, loaded=ONE).pauses == []


def test_a_request_without_time():
    """A request that has no time left does not wait: it loads."""
    rounds = {"a": {Get(K): STUB}}, {"a": {Get(K, lease=True): STUB}}
    store = {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}}
    play = Play(fetch_or_load(ONE, K, lambda: ITEM, 5), *rounds, store, loaded=ONE, waited=None)
    assert play.result is None and play.pauses == [FIRST_WAIT]


def test_another_loader_was_faster():
    """Who takes over another caller's stub finds its token void once that caller has stored: nothing is overwritten."""
    rounds = {"a": {Get(K): STUB}}, {"a": {Get(K, lease=True): STUB}}
    store = {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.CONFLICT}}
    assert Play(fetch_or_load(ONE, K, lambda: ITEM), *rounds, store, loaded=ONE).result is None


@pytest.mark.parametrize("first_is_ours", [True, False])
def test_the_first_copy_tells_who_loads(first_is_ours):
    """Of two callers that each have the lease of one copy the one with the first copy loads, with both tokens."""
    misses = {"a": {Get(K2): Answer.MISS}}, {"b": {Get(K2): Answer.MISS}}
    first, second = (won(1, 8), STUB) if first_is_ours else (STUB, won(2, 9))
    leases = {"a": {Get(K2, lease=True): first}, "b": {Get(K2, lease=True): second}}
    if first_is_ours:
        stores = [
            {"a": {Store(K2, 0, b"loaded", 16, 60, token=Token(8, 1)): Answer.DONE}},
            {"b": {Store(K2, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}},
        ]
        Play(fetch_or_load(TWO, K2, lambda: ITEM, 5), *misses, leases, *stores, loaded=TWO)
    else:
        there = {"a": {Get(K2, lease=True): HIT}, "b": {Get(K2, lease=True): HIT}}
        assert Play(fetch_or_load(TWO, K2, pytest.fail, 5), *misses, leases, there, waited=TWO).result == HIT


def test_nothing_to_store():
    """If the loader has nothing to store the lease is given back."""
    Play(
        fetch_or_load(ONE, K, lambda: None),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Remove(K, 0, Token(9, 1)): Answer.DONE}},
        loaded=ONE,
    )


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_loader_that_raises(error):
    """What the loader raises comes out, after the lease was given back."""

    def load():
        raise error

    rounds = (
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Remove(K, 0, Token(9, 1)): Answer.DONE}},
    )
    with pytest.raises(error):
        Play(fetch_or_load(ONE, K, load), *rounds)


def test_broken_off_while_loading():
    """A flow that is given up while the loader runs asks for nothing any more."""
    flow = fetch_or_load(ONE, K, lambda: ITEM)
    flow.send(None)
    flow.send({"a": [Answer.MISS]})
    flow.send({"a": [won(1)]})
    flow.close()


def test_the_fleet_moves_while_loading():
    """A phase that passes while the loader runs changes nothing as long as its copies are still written."""
    after = ONE.learn(view_of(topology("abc", "abcd", Phase.PREPARE, epoch=6)).state)
    assert after.place(K).route.joining == ()
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}},
        loaded=after,
    )


def test_a_copy_that_was_not_leased():
    """Flip begins while the loader runs: the new copy was not leased, so that nothing is stored there."""
    Play(
        fetch_or_load(MOVES[Phase.PREPARE], MOVER, lambda: ITEM),
        {"a": {Get(MOVER): Answer.MISS}},
        {"a": {Get(MOVER, lease=True): won(1)}},
        loaded=MOVES[Phase.FLIP],
    )


def test_bumped_while_loading():
    """A slot that was bumped meanwhile gets nothing: the lease was taken in the old generation."""
    after = ONE.learn(ONE.state.bumped({("a", ONE.place(K).slot): 1}))
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        loaded=after,
    )


def test_a_lost_reply_to_what_was_loaded():
    """If nobody knows whether it was stored its slot is bumped: it may be executed after something newer."""
    keepers = Keepers(ONE)
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): NodeTimeout()}},
        keepers=keepers,
        loaded=ONE,
    )
    assert keepers.state("b").generation("a", ONE.place(K).slot) == 1


def test_a_lease_that_was_lost():
    """A token that can't be used any more was not sent, so nothing has to be disowned."""
    keepers = Keepers(ONE)
    Play(
        fetch_or_load(ONE, K, lambda: ITEM),
        {"a": {Get(K): Answer.MISS}},
        {"a": {Get(K, lease=True): won(1)}},
        {"a": {Store(K, 0, b"loaded", 16, 60, token=Token(9, 1)): LeaseLost()}},
        keepers=keepers,
        loaded=ONE,
    )
    assert not keepers.asked


def fills(name, found=Answer.MISS):
    """A reader of a joining copy looks at the old one, and gives its lease back."""
    return (
        {"c": {Get(name, ttl=True, lease=True): won(2)}},
        {"a": {Get(name, ttl=True): found}},
        {"c": {Remove(name, 0, Token(9, 2)): Answer.DONE}},
    )


def test_loading_what_moves():
    """While a key moves the copy that decides is leased and filled, sources before targets."""
    ours = {Store(MOVER, 0, b"loaded", 16, 60, token=Token(9, 1)): Answer.DONE}
    leases = {node: {node: {Get(MOVER, lease=True): won(1)}} for node in "ac"}
    purge = {node: {node: {Remove(MOVER): Answer.MISS}} for node in "ac"}
    rounds = {
        Phase.PREPARE: ({"a": {Get(MOVER): Answer.MISS}}, leases["a"], {"a": ours}, purge["c"]),
        Phase.COPY: (*fills(MOVER), leases["a"], {"a": ours}, purge["c"]),
        Phase.FLIP: (*fills(MOVER), leases["c"], purge["a"], {"c": ours}),
        Phase.SETTLE: ({"c": {Get(MOVER): Answer.MISS}}, leases["c"], purge["a"], {"c": ours}),
    }
    for phase, expected in rounds.items():
        view = MOVES[phase]
        assert Play(fetch_or_load(view, MOVER, lambda: ITEM), *expected, loaded=view).result is None
