"""Prefix generations: names that never come twice, and the time in which nothing may be stored under a new one."""

from dataclasses import replace

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.errors import TooManyPrefixes
from django_dcache.flows.consensus import bump_prefix, prove
from django_dcache.model.keys import MAX_NAME_BYTES, name, parse_wire_key, plain, position, wire_key
from django_dcache.model.state import MAX_PREFIXES, FleetState, prefix_slot
from django_dcache.model.view import Standing
from support.played_flows import HOLD, Keepers, Play, topology, view_of

ABC = FleetState(topology("abc"))
BOOK = prefix_slot(":1:book:")
made_keys = st.text(st.characters(min_codepoint=0x21, exclude_categories=("Cs", "Zs", "Cc")), min_size=1, max_size=83)
numbers = st.integers(0, 10**11)


def bumped(generation, view=None):
    """A view that has just learned of this generation of ":1:book:"."""
    view = view or view_of(ABC)
    return view.learn(ABC.bumped({BOOK: generation}), view.clock.now)


@given(made_keys, numbers, made_keys, numbers)
@example("a", 1, "1;a", 0)
@example("a" * 236, 1, "a" * 236, 2)
@example("a" * 236, 10, "a" * 237, 1)
def test_names(one, number, other, other_number):
    """Whatever the generation, a name fits, is placed as before and can be read back; no two are alike."""
    a, b = name(one, number), name(other, other_number)
    assert len(a) <= MAX_NAME_BYTES and min(a) > 0x20 and 0x7F not in a
    assert position(a) == position(name(one))
    assert parse_wire_key(wire_key(a, 7)) == (a, 7)
    assert plain(a) == one.encode() or a.startswith(b"\xff#")
    assert (a == b) == ((one, number) == (other, other_number))


def test_only_below_the_prefix():
    """A bump renames the keys that begin with the prefix, and no other."""
    view, after = view_of(ABC), bumped(1)
    assert after.name(":1:book:7") != view.name(":1:book:7")
    for key in (":1:bookshop", ":2:book:7", "book:7"):
        assert after.name(key) == name(key) and not after.young(key)


def test_prefixes_within_prefixes():
    """A key below several prefixes is renamed by a bump of any of them, and never gets a name it had before."""
    state, seen = ABC, set()
    for prefix in (":1:", ":1:book:7:", ":1:", ":1:book:", ":1:book:7:"):
        slot = prefix_slot(prefix)
        state = state.bumped({slot: state.generation(*slot) + 2})
        seen.add(view_of(state).name(":1:book:7:title"))
    assert len(seen) == 5


def test_time_of_a_bump():
    """Nothing is stored until nobody can hold the older name; settling then changes neither that nor the name."""
    view = bumped(1)
    young_name = view.name(":1:book:7")
    assert view.young(":1:book:7") and not view.ripe()
    view.clock.advance(HOLD)
    assert not view.young(":1:book:7") and view.ripe() == {BOOK: 2}
    settled = bumped(2, view)
    assert settled.name(":1:book:7") == young_name
    assert not settled.young(":1:book:7") and not settled.ripe()


def test_newcomer():
    """A process that starts after a bump has settled may store at once; one that starts before waits."""
    for generation, young in ((2, False), (1, True)):
        assert bumped(generation, view_of(ABC, proven_at=float("-inf"))).young(":1:book:7") is young


def test_told_to_few():
    """A bump that only some keeper was seen to hold stays young, however long."""
    view = view_of(ABC).learn(ABC.bumped({BOOK: 1}), held=False)
    view.clock.advance(1000)
    assert view.young(":1:book:7") and not view.ripe() and not view.untouched(BOOK)


def test_bump():
    """A majority of keepers is told, whatever it held, and the caller knows at once."""
    view = view_of(ABC)
    keepers = Keepers(view, silent="a")
    play = Play(bump_prefix(view, ":1:book:"), keepers=keepers)
    assert play.result and keepers.state("b").generation(*BOOK) == 1
    assert view.learn(play.learned[-1].state, play.learned[-1].proven_at).name(":1:book:7") != name(":1:book:7")


def test_no_majority():
    """A bump that no majority can be told is not acknowledged, nor taken for one by the caller."""
    view = view_of(ABC)
    play = Play(bump_prefix(view, ":1:book:"), keepers=Keepers(view, silent="ab"))
    assert play.result is False and not any(step.state.prefixes for step in play.learned)


@pytest.mark.parametrize(("generation", "seconds", "wanted"), [(1, 0, None), (1, HOLD, 3), (2, 0, 3), (2, HOLD, 3)])
def test_bump_again(generation, seconds, wanted):
    """A second bump is left out only while nobody can have stored anything since the first."""
    view = bumped(generation)
    view.clock.advance(seconds)
    keepers = Keepers(view)
    play = Play(bump_prefix(view, ":1:book:"), keepers=keepers)
    assert play.result and len(keepers.asked) == (2 if wanted else 0)
    assert keepers.state("a").generation(*BOOK) == (wanted or generation)


def test_settling():
    """Whoever proves the state once everybody has learned of a bump says so to the keepers."""
    view = bumped(1)
    keepers = Keepers(view)
    Play(prove(view), keepers=keepers)
    assert keepers.state("a").generation(*BOOK) == 1
    view.clock.advance(HOLD)
    Play(prove(view), keepers=keepers)
    assert {keepers.state(node).generation(*BOOK) for node in "abc"} == {2}


def test_bounded():
    """One made prefix too many is refused; those that are there can be bumped as ever."""
    full = ABC.bumped({prefix_slot(f":{number}:"): 2 for number in range(MAX_PREFIXES)})
    view = view_of(full)
    with pytest.raises(TooManyPrefixes, match="':1:book:'"):
        Play(bump_prefix(view, ":1:book:"), keepers=Keepers(view))
    assert Play(bump_prefix(view, ":7:"), keepers=Keepers(view)).result
    assert len(full.encode()) < 32_000


def test_states_with_prefixes():
    """They merge by maximum, survive a keeper, and close no slot of any node."""
    one, other = ABC.bumped({BOOK: 3}), ABC.bumped({BOOK: 1, prefix_slot(":1:é"): 2})
    merged = one.merge(other)
    assert merged == other.merge(one) == FleetState.decode(merged.encode())
    assert merged.prefixes == (":1:book:", ":1:é") and merged.generation(*BOOK) == 3
    view = view_of(ABC).learn(merged)
    assert {view.standing(node, slot) for node in "abc" for slot in range(256)} == {Standing.OPEN}
    assert replace(view, avoid=frozenset("a")).prefixes == merged.prefixes


@pytest.mark.parametrize("prefixes", ["book:", [""], ["a b"], [7], ["x" * 251], [f"{n}:" for n in range(257)]])
def test_check(prefixes):
    """Prefixes that can't be meant are found by Django's system checks."""
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": "127.0.0.1:9"}
    with override_settings(CACHES={"default": entry | {"OPTIONS": {"prefixes": ["book:", "page:"]}}}):
        assert not run_checks(tags=["caches"])
    with override_settings(CACHES={"default": entry | {"OPTIONS": {"prefixes": prefixes}}}):
        (found,) = run_checks(tags=["caches"])
        assert found.id == "dcache.E003" and "prefixes" in found.msg
