"""Prefix generations: stamps and names that never come twice, and when nothing may be stored under a new name."""

from dataclasses import replace

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.errors import TooManyPrefixes
from django_dcache.flows.consensus import bump_prefix, prove
from django_dcache.model.keys import MAX_NAME_BYTES, name, parse_wire_key, plain, position, wire_key
from django_dcache.model.stamps import STAMPS, StampedName, stamped, unstamped, with_stamp
from django_dcache.model.state import MAX_PREFIXES, FleetState, prefix_slot, settled_slot
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
    """A bump stamps the keys that begin with the prefix, and no other; their names and places stay."""
    view, after = view_of(ABC), bumped(1)
    assert after.name(":1:book:7") == view.name(":1:book:7") and after.name(":1:book:7").stamp == 1
    for key in (":1:bookshop", ":2:book:7", "book:7"):
        assert after.name(key) == name(key) and not isinstance(after.name(key), StampedName) and not after.young(key)


def test_prefixes_within_prefixes():
    """A key below several prefixes is changed by a bump of any of them, and never gets a name and stamp twice."""
    state, seen = ABC, set()
    for prefix in (":1:", ":1:book:7:", ":1:", ":1:book:", ":1:book:7:") * 110:
        slot = prefix_slot(prefix)
        state = state.bumped({slot: state.generation(*slot) + 1})
        named = view_of(state).name(":1:book:7:title")
        seen.add((bytes(named), named.stamp))
    assert len(seen) == 5 * 110 > STAMPS and max(stamp for _, stamp in seen) == STAMPS - 1


@given(st.integers(0, 2**20 - 1), st.integers(0, STAMPS - 1), st.integers(0, STAMPS - 1))
def test_stamps(flags, one, other):
    """An item says whether it was stored under an older generation, its flags are what they were, and copies agree."""
    stored = stamped(b"k", one).flags(flags)
    assert unstamped(stored) == flags < 2**29 and stored < 10**9
    assert stamped(b"k", other).outdated(stored) == (one < other)
    assert not one or stamped(b"k", other).flags(stored) == stored
    assert with_stamp(b"k", flags) == flags and with_stamp(stamped(b"k", one), flags) == stored


@pytest.mark.parametrize("flags", [2**29, 2**31 + 7, 2**32 - 1])
def test_foreign_flags(flags):
    """Flags that no release of ours stores are left as they are: nothing is taken for a value by a part of them."""
    assert unstamped(flags) == flags and not stamped(b"k", STAMPS - 1).outdated(flags)


def test_stored_at_once():
    """What was invalidated can be stored at once; only when its name changes nothing is, until no process can use the
    one before."""
    assert not bumped(1).young(":1:book:7") and not bumped(STAMPS - 1).young(":1:book:7")
    view = bumped(STAMPS)
    assert view.young(":1:book:7") and view.name(":1:book:7") == name(":1:book:7", 1)
    view.clock.advance(HOLD)
    assert not view.young(":1:book:7") and view.ripe() == {settled_slot(*BOOK): STAMPS}


def test_invalidated_all_the_time():
    """A prefix that is invalidated more often than every hold still settles, a hold behind."""
    view = bumped(STAMPS)
    for number in range(1, 20):
        view.clock.advance(HOLD / 4)
        view = view.learn(ABC.bumped({BOOK: STAMPS + number}), view.clock.now)
        assert view.young(":1:book:7") is (number < 4)
        assert view.ripe() == ({settled_slot(*BOOK): STAMPS + number - 4} if number >= 4 else {})


def test_newcomer():
    """A process that starts after a change of names has settled may store at once; one that starts before waits."""
    for settled, young in ((STAMPS - 1, True), (STAMPS, False), (STAMPS + 1, False)):
        state = ABC.bumped({BOOK: STAMPS + 1, settled_slot(*BOOK): settled})
        view = view_of(ABC, proven_at=float("-inf"))
        assert view.learn(state, view.clock.now).young(":1:book:7") is young


def test_told_to_few():
    """A change of names that only some keeper was seen to hold stays young, however long."""
    view = view_of(ABC).learn(ABC.bumped({BOOK: STAMPS}), held=False)
    view.clock.advance(1000)
    assert view.young(":1:book:7") and not view.ripe()


def test_bump():
    """A majority of keepers is told, whatever it held, and the caller knows at once."""
    view = view_of(ABC)
    keepers = Keepers(view, silent="a")
    play = Play(bump_prefix(view, ":1:book:"), keepers=keepers)
    assert play.result and keepers.state("b").generation(*BOOK) == 1
    assert view.learn(play.learned[-1].state, play.learned[-1].proven_at).name(":1:book:7").stamp == 1


def test_no_majority():
    """A bump that no majority can be told is not acknowledged, nor taken for one by the caller."""
    view = view_of(ABC)
    play = Play(bump_prefix(view, ":1:book:"), keepers=Keepers(view, silent="ab"))
    assert play.result is False and not any(step.state.prefixes for step in play.learned)


def test_bump_again():
    """Each bump counts from what the keepers hold: something may have been stored since another process's bump."""
    view = view_of(ABC)
    keepers = Keepers(bumped(7))
    assert Play(bump_prefix(view, ":1:book:"), keepers=keepers).result
    assert keepers.state("a").generation(*BOOK) == 8


def test_settling():
    """A process that proves the state once every other has learned of a bump says so to the keepers."""
    view = bumped(1)
    keepers = Keepers(view)
    Play(prove(view), keepers=keepers)
    assert not keepers.state("a").settled(*BOOK)
    view.clock.advance(HOLD)
    Play(prove(view), keepers=keepers)
    assert all(keepers.state(node).settled(*BOOK) for node in "abc")


def test_bounded():
    """One made prefix too many is refused; those that are there can be bumped as ever."""
    full = ABC.bumped({prefix_slot(f":{number}:"): 2 for number in range(MAX_PREFIXES)})
    view = view_of(full)
    with pytest.raises(TooManyPrefixes, match="':1:book:'"):
        Play(bump_prefix(view, ":1:book:"), keepers=Keepers(view))
    assert Play(bump_prefix(view, ":7:"), keepers=Keepers(view)).result
    settled = full.bumped({settled_slot(*prefix_slot(f":{number}:")): 2 for number in range(MAX_PREFIXES)})
    assert len(settled.encode()) < 32_000
    assert FleetState.decode(ABC.bumped({BOOK: 10**9}).encode()).generation(*BOOK) == 10**9


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
