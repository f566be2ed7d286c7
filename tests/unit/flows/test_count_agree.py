"""Counting with two copies: the first one decides, and the second agrees or goes."""

import pytest

from django_dcache.commands import Answer, Refused, Remove, Token, Value
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows.count import count
from django_dcache.flows.count_agree import LOOKS
from support.counting import adds, looks, number
from support.played_flows import Keepers, Play
from support.small_fleets import K2, TWO

CONFLICT, DONE, MISS = Answer.CONFLICT, Answer.DONE, Answer.MISS
OOM = Refused("SERVER_ERROR out of memory")
HERE, THERE = Token(5, 1), Token(9, 2)

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
