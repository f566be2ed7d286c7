"""The flows in every order of their commands: two processes, at the same stage of a resize or one apart, and a fault.

Orders that lead to the same state are followed once (simulation/orders.py), so these are proofs for what they cover.
"""

import dataclasses

import pytest

from support.simulation.broken import RULES
from support.simulation.orders import BOTH, NEW, NOWHERE, OLD, Play, explore, sample

STABLE, PREPARE, COPY, FLIP, SETTLE, AFTER = range(6)
WHERE = {PREPARE: OLD, COPY: OLD, FLIP: BOTH, SETTLE: NEW, AFTER: NEW}
NEIGHBOURS = [(STABLE, PREPARE), (PREPARE, COPY), (COPY, FLIP), (FLIP, SETTLE), (SETTLE, AFTER)]


def check(play: Play) -> None:
    """No order of `play` goes wrong, and none is left out."""
    verdict = explore(play)
    assert verdict.runs > 0 and not verdict.wrong, verdict


@pytest.mark.parametrize("case", ["move", "shrink", "r2add"])
@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
@pytest.mark.parametrize(
    "what", [("set", "delete"), ("read", "delete"), ("read", "set"), ("touch", "read"), ("incr", "read")]
)
def test_values(case, before, after, what):
    """A process one phase behind another brings nothing back, loses no key and miscounts nothing."""
    for one, other in {what, what[::-1]}:
        check(Play(case, ((one, before), (other, after)), WHERE[after]))


@pytest.mark.parametrize("key", [0, 1])
@pytest.mark.parametrize("case", ["move", "shrink", "r2add", "drain"])
@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
def test_deciders(case, before, after, key):
    """Of two processes one phase apart one adds, or none if the key is there; two that count never get one number."""
    check(Play(case, (("add", before), ("add", after)), NOWHERE, key=key))
    check(Play(case, (("add", before), ("add", after)), WHERE[after], key=key))
    check(Play(case, (("incr", before), ("incr", after)), WHERE[after], key=key))


@pytest.mark.parametrize("key", [0, 1])
@pytest.mark.parametrize("case", ["move", "shrink"])
@pytest.mark.parametrize(("before", "after"), [*NEIGHBOURS, (COPY, COPY), (FLIP, FLIP)])
@pytest.mark.parametrize("other", ["incr", "read", "move"])
def test_a_counter_is_found(case, before, after, key, other):
    """A counter with one copy is found by each process that counts while it moves, and is still there afterwards."""
    for where in {WHERE[after], OLD if after == FLIP else WHERE[after]}:
        for parts in ((("incr", before), (other, after)), ((other, before), ("incr", after))):
            check(Play(case, parts, where, key=key))


@pytest.mark.parametrize("case", ["move", "grow", "r2add"])
@pytest.mark.parametrize("stage", [COPY, FLIP])
def test_mover(case, stage):
    """The mover beside a writer, a counter or a touch: nothing old comes back and nothing is lost."""
    for what in ("delete", "set", "incr", "touch"):
        check(Play(case, (("move", stage), (what, stage)), WHERE[stage]))


@pytest.mark.parametrize("case", ["stable1", "stable2"])
@pytest.mark.parametrize("what", ["set", "delete"])
def test_loader(case, what):
    """A slow loader never stores over a write that came meanwhile."""
    check(Play(case, (("load", STABLE), (what, STABLE)), NOWHERE))


@pytest.mark.parametrize("case", ["stable1", "stable2"])
@pytest.mark.parametrize("other", ["swap", "swap for nothing", "set", "delete"])
def test_swaps(case, other):
    """Of two that swap one value one succeeds at most, a swap beside a write brings nothing back, and where one did not
    succeed its value is not read."""
    check(Play(case, (("swap", STABLE), (other, STABLE))))


@pytest.mark.parametrize("case", ["stable1", "stable2"])
def test_swaps_with_a_lost_reply(case):
    """So it is if one reply is lost, and its command executed at any later time or never."""
    check(Play(case, (("swap", STABLE), ("swap", STABLE)), losses=1))


@pytest.mark.parametrize("key", [0, 1])
@pytest.mark.parametrize("case", ["move", "shrink", "r2add", "drain"])
@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
def test_swaps_one_phase_apart(case, before, after, key):
    """So it is one phase apart. While a key moves nothing is swapped in."""
    for other in ("swap", "delete", "set"):
        for one, two in {("swap", other), (other, "swap")}:
            check(Play(case, ((one, before), (two, after)), WHERE[after], key=key))


@pytest.mark.parametrize("case", ["stable1", "move"])
@pytest.mark.parametrize("what", [("set", "delete"), ("read", "delete"), ("load", "delete")])
def test_lost_reply(case, what):
    """One lost reply, its command executed at any later time or never: what an acknowledged write replaced is gone."""
    stage = COPY if case == "move" else STABLE
    check(Play(case, tuple((operation, stage) for operation in what), losses=1))


def test_restart():
    """A node that restarts empty beside a loader, whose token it may hand out again."""
    check(Play("stable1", (("load", STABLE), ("set", STABLE)), NOWHERE, restarts=("C",)))


def test_counting_on_what_is_being_filled():
    """A counter that is being filled while it is counted is still a number."""
    assert not sample(Play("move", (("incr", FLIP), ("incr", COPY), ("read", COPY))), 150).wrong


@pytest.mark.parametrize(
    ("rule", "play"),
    [
        ("read-repair", Play("stable2", (("read", STABLE), ("delete", STABLE)))),
        ("unleased", Play("move", (("read", COPY), ("set", COPY)))),
        ("unleased-mover", Play("move", (("move", COPY), ("set", COPY)))),
        ("unleased-load", Play("stable1", (("load", STABLE), ("delete", STABLE)), NOWHERE)),
        ("new-first", Play("move", (("read", COPY), ("set", COPY)))),
        ("parallel", Play("move", (("read", COPY), ("set", COPY)))),
        ("flip-together", Play("r2add", (("move", FLIP), ("delete", FLIP)))),
        ("no-settle", Play("r2add", (("read", FLIP), ("delete", AFTER)))),
        ("hasty", Play("move", (("read", COPY), ("set", STABLE)))),
        ("no-purge", Play("move", (("read", COPY), ("set", COPY)))),
        ("new-owner-only", Play("move", (("read", FLIP), ("delete", FLIP)))),
        ("bump-narrow", Play("move", (("read", COPY), ("set", COPY)), losses=1)),
        ("no-bump", Play("stable1", (("set", STABLE), ("delete", STABLE)), losses=1)),
        ("token-travels", Play("stable1", (("load", STABLE), ("set", STABLE)), NOWHERE, restarts=("C",))),
        ("count-anywhere", Play("r2both", (("incr", FLIP), ("incr", COPY)))),
        ("unchecked-swap", Play("stable1", (("swap", STABLE), ("swap", STABLE)))),
        ("no-gate", Play("move", (("add", FLIP), ("add", COPY)), NOWHERE)),
    ],
)
def test_broken_rule(rule, play):
    """Every rule of the protocol is needed: without it some order goes wrong."""
    broken = RULES[rule]
    play = dataclasses.replace(
        play, flows=broken.flows, view_class=broken.view_class, tokens_travel=broken.tokens_travel
    )
    assert explore(play, 3000).wrong
