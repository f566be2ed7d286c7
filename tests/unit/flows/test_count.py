"""Counting: which copies count, and that no number is ever handed out twice."""

import pytest

from django_dcache.commands import Answer, Arithmetic, Get, Refused, Remove, Store, Token, Value
from django_dcache.errors import NodeDown, NodeTimeout, NoReplica
from django_dcache.flows.count import count
from django_dcache.flows.count_agree import LOOK_WAIT, LOOKS, NotANumber
from django_dcache.flows.count_pull import PULL_WAIT, PULLS
from django_dcache.model.topology import Phase
from django_dcache.model.view import Bump
from support.played_flows import Keepers, Play, name_for, topology, view_of

CONFLICT, DONE, MISS = Answer.CONFLICT, Answer.DONE, Answer.MISS
OOM = Refused("SERVER_ERROR out of memory")
NON_NUMERIC = Refused("CLIENT_ERROR cannot increment or decrement non-numeric value", unchanged=True)
ONE = view_of(topology("abc"))
TWO = view_of(topology("abc", replicas=2))
K = name_for(ONE, read=("a",))
K2 = name_for(TWO, read=("a", "b"))
MOVES = {phase: view_of(topology("ab", "abc", phase)) for phase in Phase if phase is not Phase.STABLE}
MOVER = name_for(MOVES[Phase.PREPARE], read=("a",), joining=("c",))
HERE, THERE = Token(5, 1), Token(9, 2)
LEASED = {"c": {Get(MOVER, lease=True): Value(b"", token=THERE, won=True, stub=True)}}
ARRIVED = {"c": {Get(MOVER, lease=True): Value(b"7", 2, token=THERE)}}
BUSY = {"c": {Get(MOVER, lease=True): Value(b"", token=THERE, stub=True)}}
SOURCE = {"a": {Get(MOVER, ttl=True, token=True): Value(b"7", 2, 50, HERE)}}
NO_SOURCE = {"a": {Get(MOVER, ttl=True, token=True): MISS}}


def adds(name, delta=1, generation=0):
    return Arithmetic(name, generation, delta)


def number(digits):
    return Value(b"%d" % digits)


def looks(name, generation=0):
    return Get(name, generation, ttl=True, token=True)


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


# Two copies


def second(stored, token=THERE):
    """What the second copy answers to a look."""
    return {looks(K2): Value(b"%d" % stored, 2, 50, token) if isinstance(stored, int) else stored}


def towards(delta, token=THERE):
    return adds(K2, delta)._replace(token=token)


def test_the_second_copy_agrees():
    """The first copy counts, and the second is brought from the number before to the same one."""
    first = {"a": {adds(K2, 3): number(8)}, "b": second(5)}
    assert Play(count(TWO, K2, 3), first, {"b": {towards(3): number(8)}}).result == 8


def test_another_process_is_on_its_way():
    """A copy that lacks a count of another process is deleted, not waited for, and then the keepers are asked."""
    keepers = Keepers(TWO)
    rounds = {"a": {adds(K2): number(8)}, "b": second(6)}, {"b": {Remove(K2, 0, THERE): DONE}}
    play = Play(count(TWO, K2, 1), *rounds, keepers=keepers)
    assert play.result == 8 and not play.pauses and keepers.asked


def test_a_copy_that_changes_all_the_time():
    """A copy that other processes keep changing is deleted in the end, whatever it holds."""
    keepers = Keepers(TWO)
    first = {"a": {adds(K2): number(8)}, "b": second(7)}
    rounds = [{"b": {towards(1): CONFLICT}}, {"b": second(7)}] * (LOOKS // 2)
    assert Play(count(TWO, K2, 1), first, *rounds, {"b": {Remove(K2, 0): MISS}}, keepers=keepers).result == 8


def test_the_second_copy_has_counted_further():
    """A first copy behind the second is one that others have disowned: it is dropped, and the second one counts."""
    keepers = Keepers(TWO)
    first = {"a": {adds(K2): number(8)}, "b": second(9)}
    behind = {"a": {looks(K2): Value(b"8", 2, 50, HERE)}}, {"a": {Remove(K2, 0, HERE): DONE}}
    again = {"a": {adds(K2): MISS}, "b": second(9)}, {"b": {towards(1): number(10)}}, {"a": {looks(K2): MISS}}
    play = Play(count(TWO, K2, 1), first, *behind, *again, keepers=keepers)
    assert play.result == 10 and keepers.asked


def test_a_number_that_was_skipped():
    """Others have only been faster if the first copy is as far as the second: the count begins again."""
    first = {"a": {adds(K2): number(8)}, "b": second(9)}
    again = {"a": {adds(K2): number(10)}, "b": second(9)}, {"b": {towards(1): number(10)}}
    assert Play(count(TWO, K2, 1), first, {"a": {looks(K2): Value(b"9", 2, 50, HERE)}}, *again).result == 10


def test_first_replica_has_none():
    """If the first replica has none the next one counts, once the keepers know of nothing that this process lacks."""
    keepers = Keepers(TWO)
    rounds = {"a": {adds(K2): MISS}, "b": second(3)}, {"b": {towards(1): number(4)}}, {"a": {looks(K2): MISS}}
    assert Play(count(TWO, K2, 1), *rounds, keepers=keepers).result == 4
    assert keepers.asked


def test_second_replica_has_none():
    """A copy that was missing is looked for once more after the first has counted: it may be in the making."""
    keepers = Keepers(TWO)
    rounds = {"a": {adds(K2): number(4)}, "b": second(MISS)}, {"b": second(MISS)}
    assert Play(count(TWO, K2, 1), *rounds, keepers=keepers).result == 4
    assert keepers.asked


def test_alone_under_an_older_view():
    """A number that only one copy agreed to is not handed out if that copy has been bumped, or if nobody can tell."""
    rounds = {"a": {adds(K2): number(4)}, "b": second(MISS)}, {"b": second(MISS)}
    bumped = TWO.state.bumped({("a", TWO.place(K2).slot): 1}).encode()
    for keepers in (Keepers(TWO, documents=dict.fromkeys("abc", bumped)), Keepers(TWO, silent="abc")):
        assert Play(count(TWO, K2, 1), *rounds, keepers=keepers).result is NoReplica


STUB = {looks(K2): Value(b"", token=THERE, stub=True)}


def test_a_copy_in_the_making():
    """A stub on the second copy is waited for: the counter was added just now."""
    rounds = {"a": {adds(K2): number(4)}, "b": STUB}, {"b": second(3)}, {"b": {towards(1): number(4)}}
    assert Play(count(TWO, K2, 1), *rounds).result == 4


def test_a_copy_that_is_never_made():
    """A stub that stays is voided: what would be stored there is the number before the count."""
    keepers = Keepers(TWO)
    waits = [{"b": STUB}] * (LOOKS - 1)
    rounds = {"a": {adds(K2): number(4)}, "b": STUB}, *waits, {"b": {Remove(K2, 0): DONE}}
    assert Play(count(TWO, K2, 1), *rounds, keepers=keepers).result == 4


def test_lost_count_of_the_first_replica():
    """Nobody knows whether the first copy counted: no number is handed out, and the copy is disowned."""
    keepers = Keepers(TWO)
    assert (
        Play(count(TWO, K2, 1), {"a": {adds(K2): NodeTimeout()}, "b": second(3)}, keepers=keepers).result is NoReplica
    )
    assert keepers.state("c").generation("a", TWO.place(K2).slot) == 1


@pytest.mark.parametrize("reply", [NodeTimeout(), OOM])
def test_lost_count_of_the_second_replica(reply):
    """A second copy that may have missed a count is disowned before the number is handed out."""
    keepers = Keepers(TWO)
    first = {"a": {adds(K2): number(4)}, "b": second(3)}
    assert Play(count(TWO, K2, 1), first, {"b": {towards(1): reply}}, keepers=keepers).result == 4
    assert keepers.state("c").generation("b", TWO.place(K2).slot) == 1


def test_a_count_that_cannot_be_disowned():
    """If too few keepers can be told, no number is handed out."""
    first = {"a": {adds(K2): number(4)}, "b": second(NodeTimeout())}
    play = Play(count(TWO, K2, 1), first, keepers=Keepers(TWO, silent="abc"))
    assert play.result is NoReplica and play.owed


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


# Keys on the move


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.COPY])
def test_before_flip(phase):
    """Until flip the old copy counts, and what joins is voided after it: it may have been filled just before."""
    play = Play(count(MOVES[phase], MOVER, 1), {"a": {adds(MOVER): number(8)}}, {"c": {Remove(MOVER): DONE}})
    assert play.result == 8


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.COPY])
def test_no_counter_before_flip(phase):
    """Until flip the old copy is the truth: what it does not have is not there."""
    assert Play(count(MOVES[phase], MOVER, 1), {"a": {adds(MOVER): MISS}}).result is None


def test_in_settle():
    """In settle the old copy is purged, and the new one counts."""
    play = Play(count(MOVES[Phase.SETTLE], MOVER, 1), {"a": {Remove(MOVER): MISS}}, {"c": {adds(MOVER): number(8)}})
    assert play.result == 8


COUNTED = ({"a": {Remove(MOVER): MISS}}, {"c": {adds(MOVER): number(8)}})
FLIP = MOVES[Phase.FLIP]
STORE = Store(MOVER, 0, b"7", 2, 50, token=THERE)


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
    """If somebody still counts on the source, the copy is taken back and pulled again."""
    ahead = Value(b"8", 2, 50, Token(6, 1))
    play = Play(
        count(FLIP, MOVER, 1),
        LEASED,
        SOURCE,
        {"c": {STORE: DONE}},
        {"a": {Remove(MOVER, 0, HERE): Answer.CONFLICT}},
        {"c": {Remove(MOVER): DONE}},
        LEASED,
        {"a": {Get(MOVER, ttl=True, token=True): ahead}},
        {"c": {Store(MOVER, 0, b"8", 2, 50, token=THERE): DONE}},
        {"a": {Remove(MOVER, 0, Token(6, 1)): DONE}},
        *COUNTED,
    )
    assert play.result == 8


def test_copy_that_fell_behind():
    """A copy that differs from its source is voided before it counts."""
    ahead = {"a": {Get(MOVER, ttl=True, token=True): Value(b"9", 2, 50, HERE)}}
    play = Play(count(FLIP, MOVER, 1), ARRIVED, ahead, {"c": {Remove(MOVER): DONE}}, ARRIVED, NO_SOURCE, *COUNTED)
    assert play.result == 8


def test_no_counter_in_flip():
    """Where neither copy has it there is no counter, and the lease is given back."""
    play = Play(count(FLIP, MOVER, 1), LEASED, NO_SOURCE, {"c": {Remove(MOVER, 0, THERE): DONE}})
    assert play.result is None


def test_somebody_else_pulls():
    """While somebody else holds the lease a caller waits, then voids it: whoever held it may be dead."""
    assert Play(count(FLIP, MOVER, 1), BUSY, SOURCE, ARRIVED, NO_SOURCE, *COUNTED).pauses == [PULL_WAIT]
    void = {"c": {Remove(MOVER, 0, THERE): DONE}}
    play = Play(count(FLIP, MOVER, 1), *(BUSY, SOURCE) * (PULLS - 1), void, BUSY, SOURCE)
    assert play.result is None and len(play.pauses) == PULLS


@pytest.mark.parametrize("silent", ["a", "c"])
def test_silence_in_flip(silent):
    """If either copy is silent before it is pulled, nothing is counted."""
    silence = {
        "c": ({"c": {Get(MOVER, lease=True): NodeTimeout()}}, SOURCE),
        "a": (LEASED, {"a": {Get(MOVER, ttl=True, token=True): NodeTimeout()}}),
    }
    assert Play(count(FLIP, MOVER, 1), *silence[silent]).result is None


def test_last_second():
    """A counter with less than a second to live is gone: its TTL reads 0, which would mean for ever."""
    dying = {"a": {Get(MOVER, ttl=True, token=True): Value(b"7", 2, 0, HERE)}}
    assert Play(count(FLIP, MOVER, 1), LEASED, dying, {"c": {Remove(MOVER, 0, THERE): DONE}}).result is None


@pytest.mark.parametrize(("phase", "silent"), [(Phase.COPY, "a"), (Phase.COPY, "c"), (Phase.SETTLE, "a")])
def test_lost_reply_of_what_moves(phase, silent):
    """A reply lost while a counter moves disowns the silent copy and the joining one."""
    view = MOVES[phase]
    keepers = Keepers(view)
    rounds = {
        (Phase.COPY, "a"): ({"a": {adds(MOVER): NodeTimeout()}},),
        (Phase.COPY, "c"): ({"a": {adds(MOVER): number(8)}}, {"c": {Remove(MOVER): NodeTimeout()}}),
        (Phase.SETTLE, "a"): ({"a": {Remove(MOVER): NodeTimeout()}}, {"c": {adds(MOVER): MISS}}),
    }[phase, silent]
    play = Play(count(view, MOVER, 1), *rounds, keepers=keepers)
    assert play.result == {"c": 8, "a": NoReplica if phase is Phase.COPY else None}[silent]
    state, slot = keepers.state("b"), view.place(MOVER).slot
    assert state.generation(silent, slot) == state.generation("c", slot) == 1
