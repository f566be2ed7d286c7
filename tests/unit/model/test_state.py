"""The fleet state: copies merge by maximum, and a keeper's document is hostile until it is proven sound."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.errors import InvalidTopology, UnknownFormat
from django_dcache.model.state import (
    WHOLE_NODE,
    Control,
    FleetState,
    Generations,
    Note,
    conductor_key,
    note_slot,
    prefix_slot,
    progress_key,
    settled_slot,
    state_key,
)
from django_dcache.model.topology import FORMAT, Layout, Node, Topology
from support.strategies import histories, names, states, topologies

SLOTS = range(8)
PLAIN = FleetState(Topology(1, Layout((Node.at("10.0.0.1"),))))
bumps = st.dictionaries(st.tuples(names, st.integers(0, 255)), st.integers(1, 9), max_size=5)


@given(states(), states())
def test_merge_is_commutative(a, b):
    """It does not matter which copy is merged into which."""
    assert a.merge(b) == b.merge(a)


@given(histories())
def test_merge_is_associative(history):
    """Nor in which order several are, as long as no node leaves in between."""
    a, b, c = history
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(states(), states())
def test_merge_is_idempotent(a, b):
    """Merging again what was merged already changes nothing."""
    assert a.merge(a) == a
    assert a.merge(b).merge(b) == a.merge(b)


@given(states(), states())
def test_merge_only_grows(a, b):
    """Nothing in a merged state is lower than in either part."""
    merged = a.merge(b)
    for part in (a, b):
        assert merged.topology.epoch >= part.topology.epoch
        assert merged.fence >= part.fence
        assert merged.control.serial >= part.control.serial
        for node in part.generations.keys() & merged.topology.nodes:
            assert all(merged.generation(node, slot) >= part.generation(node, slot) for slot in SLOTS)


@given(states(), states())
def test_merge_invents_nothing(a, b):
    """Every number in a merged state comes from one of its parts."""
    merged = a.merge(b)
    assert merged.topology in (a.topology, b.topology)
    assert merged.control in (a.control, b.control)
    for node in merged.topology.nodes:
        for slot in SLOTS:
            assert merged.generation(node, slot) == max(a.generation(node, slot), b.generation(node, slot))


@given(topologies(), topologies())
def test_newer_conductor_wins(one, other):
    """Of two topologies the higher epoch counts, and within an epoch the newer conductor's."""
    merged = FleetState(one).merge(FleetState(other)).topology
    assert (merged.epoch, merged.fence) == max((one.epoch, one.fence), (other.epoch, other.fence))


@given(states(), bumps)
def test_bumped(state, wanted):
    """A bump raises the wanted slots to at least what was wanted, and touches no other."""
    after = state.bumped(wanted)
    for (node, slot), value in wanted.items():
        assert after.generation(node, slot) == max(value, state.generation(node, slot))
    for node in after.generations:
        for slot in range(256):
            if (node, slot) not in wanted:
                assert after.generation(node, slot) == state.generation(node, slot)
    if all(map(after.keeps, after.generations)):
        assert after.merge(state) == after == state.merge(after)


@given(states(), names)
def test_bumped_whole(state, node):
    """Bumping a whole node makes every slot newer than any was, and leaves other nodes alone."""
    after = state.bumped_whole(node)
    assert min(after.generation(node, slot) for slot in range(256)) > max(
        state.generation(node, slot) for slot in range(256)
    )
    assert {n: g for n, g in after.generations.items() if n != node} == {
        n: g for n, g in state.generations.items() if n != node
    }


def test_generations_keep_no_more_than_needed():
    """A bump of all slots takes the place of those of single ones, and so do bumps of every single one."""
    assert Generations().at_least(3, 2).at_least(4, 1).bump_all() == Generations(3)
    each = Generations()
    for slot in range(256):
        each = each.at_least(slot, 2 if slot == 7 else 1)
    assert each == Generations(1, {7: 2})


def test_nodes_that_left():
    """The state keeps one number for all nodes that left; one that joins again begins above it."""
    two, one = (Layout(tuple(Node.at(f"10.0.0.{i}", name=f"n{i}") for i in numbers)) for numbers in ((1, 2), (1,)))
    before = FleetState(Topology(1, two)).bumped({("n2", 7): 5, settled_slot("n2", 7): 5, prefix_slot(":1:a:"): 2})
    for left in (before.merge(FleetState(Topology(2, one))), FleetState(Topology(2, one)).merge(before)):
        assert left.generation("n2", 7) == 0 and left.settled("n2", 7) and left.prefixes == (":1:a:",)
        assert len(left.encode()) < len(before.encode())
        assert left.merge(before) == left == FleetState.decode(left.encode())
        assert left.bumped_whole("n2").generation("n2", 7) == 6


def test_settled():
    """A bump has settled once that is said of its own generation or a later one, of its slot or of the whole node."""
    state = PLAIN.bumped({("10.0.0.1", 7): 2})
    assert list(state.unsettled()) == [("10.0.0.1", 7)] and not state.settled("10.0.0.1", 7)
    assert not state.bumped({settled_slot("10.0.0.1", 7): 1}).settled("10.0.0.1", 7)
    settled = state.bumped({settled_slot("10.0.0.1", 7): 2})
    assert settled.settled("10.0.0.1", 7) and not [*settled.unsettled()]
    whole = settled.bumped_whole("10.0.0.1")
    assert [*whole.unsettled()] == [("10.0.0.1", WHOLE_NODE)] and not whole.settled("10.0.0.1", 7)
    whole = whole.bumped({settled_slot("10.0.0.1", WHOLE_NODE): 3})
    assert not [*whole.unsettled()] and whole.settled("10.0.0.1", 7) and whole.settled("10.0.0.1", 8)


@given(states())
def test_round_trip(state):
    """Every state survives a keeper."""
    assert FleetState.decode(state.encode()) == state


@given(states(), states())
def test_equal_states_have_equal_bytes(a, b):
    """Processes that know the same write the same bytes, so that a checksum tells whether anything is new."""
    assert a.merge(b).encode() == b.merge(a).encode()
    assert (a.encode() == b.encode()) == (a == b)


@given(st.binary())
@example(b"")
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"format":' + b"[" * 900 + b"]" * 900 + b"}")
@example(b"1" * 5000)
@example(b'"\\ud800"')
@example(b"NaN")
@example(b'{"format": NaN}')
@example(b'{"format": "\\ud800"}')
@example(b'{"\\ud800": 1}')
def test_bytes(data):
    """Bytes that are no state are refused as InvalidTopology, whatever they are."""
    with pytest.raises(InvalidTopology):
        FleetState.decode(data)


def paths(document):
    """Every place in a JSON document, as (container, key)."""
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(entries):
        yield document, key
        if isinstance(value, dict | list):
            yield from paths(value)


hostile = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=()), max_size=5),
        st.sampled_from([2**53, -1, 10**4000, "²", "١", "1" * 5000, "", "stable", "copy", "run", FORMAT]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(states(), st.data())
def test_documents(state, data):
    """A sound document with anything at all in one place is either refused as InvalidTopology or sound again."""
    document = json.loads(state.encode())
    container, key = data.draw(st.sampled_from(list(paths(document))))
    if isinstance(container, dict) and data.draw(st.booleans()):
        container[data.draw(st.one_of(st.text(max_size=3), st.sampled_from(["²", "1" * 5000, "01", "256"])))] = (
            container.pop(key)
        )
    else:
        container[key] = data.draw(hostile)
    try:
        read = FleetState.decode(json.dumps(document).encode())
    except InvalidTopology:
        return
    assert FleetState.decode(read.encode()) == read
    assert read.merge(state) == state.merge(read)
    assert read.merge(PLAIN).merge(read) == read.merge(PLAIN)


def written(change):
    """The bytes of a sound document after `change`."""
    document = json.loads(PLAIN.bumped({("a", 7): 3}).encode())
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["generations"]["a"]["above"].update({"256": 1}),
        lambda d: d["generations"]["a"]["above"].update({"-1": 1}),
        lambda d: d["generations"]["a"]["above"].update({"²": 1}),
        lambda d: d["generations"]["a"]["above"].update({"١": 1}),
        lambda d: d["generations"]["a"]["above"].update({"07": 1}),
        lambda d: d["generations"]["a"]["above"].update({"1" * 5000: 1}),
        lambda d: d["generations"]["a"]["above"].update({"": 1}),
        lambda d: d["generations"]["a"]["above"].update({"8": 10**8}),
        lambda d: d["generations"]["a"]["above"].update({"8": -1}),
        lambda d: d["generations"]["a"]["above"].update({"8": 1.0}),
        lambda d: d["generations"]["a"]["above"].update({"8": True}),
        lambda d: d["generations"]["a"].update(floor=-1),
        lambda d: d["generations"]["a"].update(floor=10**8),
        lambda d: d["generations"].update(a=[]),
        lambda d: d["control"].update(wish="explode"),
        lambda d: d["control"].update(serial=None),
        lambda d: d["control"].update(serial=-1),
        lambda d: d["control"].update(serial=2**53),
        lambda d: d.update(fence=-1),
        lambda d: d.update(fence=2**53),
        lambda d: d.update(format=True),
        lambda d: d.update(format=1.0),
        lambda d: d.update(surprise=1),
        lambda d: d.pop("format"),
        lambda d: d["topology"].update(phase="copy"),
        lambda d: d["topology"]["layout"]["nodes"].append(d["topology"]["layout"]["nodes"][0]),
        lambda d: d["topology"]["layout"].update(nodes=[]),
    ],
)
def test_unsound_documents(change):
    """Nothing that this release would not have written itself is taken from a keeper."""
    with pytest.raises(InvalidTopology):
        FleetState.decode(written(change))


def test_field_twice():
    """A field that occurs twice makes a document unsound: two readers could disagree on which one counts."""
    data = PLAIN.encode().replace(b'"fence":0', b'"fence":0,"fence":9', 1)
    with pytest.raises(InvalidTopology):
        FleetState.decode(data)


@pytest.mark.parametrize("version", [0, 3, "2", None, [[]]])
def test_unknown_format(version):
    """A document of another format is refused by a name of its own, for it must not be replaced."""
    with pytest.raises(UnknownFormat):
        FleetState.decode(written(lambda document: document.update(format=version)))


def test_unused_generations_are_dropped():
    """A document that says more than it must is read as what it means."""
    data = written(lambda d: d["generations"]["a"].update(floor=5))
    assert FleetState.decode(data) == replace(PLAIN, generations={"a": Generations(5)})


def test_notes_are_no_generations():
    """A note may hold a time, which is above any generation: it is read, and no generation begins above it."""
    node, minutes = PLAIN.topology.layout.nodes[0].name, 30 * 365 * 24 * 60
    noted = PLAIN.bumped({note_slot(node, Note.SERIES): minutes * 16 + 15, (node, 7): 3})
    assert FleetState.decode(noted.encode()) == noted
    gone = noted.merge(replace(PLAIN, topology=Topology(2, Layout((Node.at("10.0.0.2"),)))))
    assert gone.bumped_whole("10.0.0.2").highest("10.0.0.2") == 4


def test_later_wish():
    """An operator's later wish takes the place of the one before."""
    early, late = replace(PLAIN, control=Control(1, "pause")), replace(PLAIN, control=Control(2, "cancel"))
    assert early.merge(late).control == late.merge(early).control == Control(2, "cancel")


def test_reserved_keys():
    """Each fleet has keys of its own, all of them valid."""
    keys = {make(fleet) for make in (state_key, conductor_key, progress_key) for fleet in ("a", "b", "ä" * 50)}
    assert len(keys) == 9
    assert all(len(key) <= 250 and min(key) > 0x20 for key in keys)
