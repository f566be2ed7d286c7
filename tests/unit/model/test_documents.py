"""What keepers hold: only what this project signed is believed, and only for what it was signed."""

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.errors import InvalidTopology, UnknownFormat, UntrustedState
from django_dcache.model.documents import LATE_SECONDS, LEASE, MODES, REPORT, Documents
from django_dcache.model.generations import Generations
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology
from support.strategies import states

PLAIN = FleetState(Topology(1, Layout((Node.at("10.0.0.1"),))))
OTHERS = FleetState(Topology(9, Layout((Node.at("6.6.6.6"),))))


def documents(*secrets: str, mode: str = "required", fleet: str = "f") -> Documents:
    return Documents(fleet, lambda: [secret.encode() for secret in secrets], mode)


@given(states(), st.sampled_from(MODES))
def test_a_state_comes_back(state, mode):
    """What one process writes another reads, in each mode, and finds nothing to sign anew."""
    ours = documents("secret", mode=mode)
    assert ours.read(ours.write(state)) == (state, True)


@given(st.data())
def test_a_signed_document_that_was_changed(data):
    """A document in which anything was changed is refused, or says what it said."""
    written = bytearray(documents("secret").write(PLAIN))
    place = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        written[place : place + data.draw(st.integers(1, 9))] = data.draw(st.binary(max_size=9))
    else:
        written[place] ^= data.draw(st.integers(1, 255))
    try:
        assert documents("secret").read(bytes(written)).state == PLAIN
    except InvalidTopology:
        pass


def test_a_state_that_is_refused_again():
    """What a keeper holds for long is judged once: 2,000 names that are no nodes cost a process nothing afterwards."""
    ours = documents("secret")
    written = ours.write(replace(PLAIN, generations={f"n{number}": Generations(1) for number in range(2000)}))
    with pytest.raises(UntrustedState, match="2,000 generations"):
        ours.read(written, 1)
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        with pytest.raises(UntrustedState, match="2,000 generations"):
            ours.read(written, 1)
    finally:
        sys.setprofile(None)
    assert len(calls) < 500


@pytest.mark.parametrize(
    "document",
    [
        OTHERS.encode(),
        documents("other").write(OTHERS),
        documents("secret", fleet="g").write(OTHERS),
        documents("secret").write(PLAIN).replace(b"10.0.0.1", b"10.0.0.9"),
        documents("secret").write(PLAIN).replace(b'"epoch":1', b'"epoch":9'),
        b'{"topology":{}}',
    ],
    ids=["unsigned", "another secret", "another fleet", "another address", "another epoch", "a fragment"],
)
def test_what_is_not_ours(document):
    """A state that this project did not sign for this fleet is refused by a name of its own, and says of which node."""
    with pytest.raises(UntrustedState, match=r"\[node n\]"):
        documents("secret").read(document, node="n")


def test_on_the_way_to_signatures():
    """With "off" and "on" both are read; what is unsigned is to be written anew only where signed ones are written."""
    signed, unsigned = documents("secret").write(PLAIN), PLAIN.encode()
    assert documents("secret", mode="off").write(PLAIN) == unsigned
    assert documents("secret", mode="on").write(PLAIN) == signed
    for document in (signed, unsigned):
        assert documents("secret", mode="off").read(document) == (PLAIN, True)
        assert documents("secret", mode="on").read(document) == (PLAIN, document is signed)


def test_rotation():
    """Every secret signs: a process that knows one of them reads what is written, and a new one has it signed anew."""
    old, both, new = documents("old"), documents("new", "old"), documents("new")
    assert old.read(both.write(PLAIN)) == new.read(both.write(PLAIN)) == (PLAIN, True)
    assert both.read(old.write(PLAIN)) == (PLAIN, False)
    with pytest.raises(UntrustedState):
        new.read(old.write(PLAIN))


def test_an_older_release():
    """A release that knows no signatures takes a signed state for that of a newer one, and leaves it alone."""
    with pytest.raises(UnknownFormat):
        FleetState.decode(documents("secret").write(PLAIN))


@pytest.mark.parametrize("mode", MODES)
def test_a_newer_release(mode):
    """A format that this release does not know is no forgery, and is refused in each mode."""
    document = json.dumps({"format": 4, "state": {}}).encode()
    with pytest.raises(UnknownFormat, match="format 4") as error:
        documents("secret", mode=mode).read(document)
    assert type(error.value) is UnknownFormat


@pytest.mark.parametrize("document", [b"", b"garbage", b"[1]", b"\xff" * 100, b"0" * 64 + b" 1 x"])
def test_garbage(document):
    """What was never a state is nobody's, and may be replaced."""
    with pytest.raises(InvalidTopology) as error:
        documents("secret").read(document)
    assert type(error.value) is InvalidTopology


def test_without_a_secret():
    """Without a secret nothing is signed, and everything is read."""
    nobody = documents()
    assert nobody.write(PLAIN) == PLAIN.encode()
    assert nobody.read(documents("secret").write(PLAIN)).state == PLAIN
    assert nobody.unseal(LEASE, documents("secret").seal(LEASE, b"us", 10), 0) == b"us"


@given(st.binary(), st.integers(0, 10**10))
def test_sealed(data, until):
    """What is sealed is read until its time has come, and a little later for clocks that differ."""
    ours = documents("new", "old")
    sealed = ours.seal(LEASE, data, until)
    assert ours.unseal(LEASE, sealed, until) == documents("new").unseal(LEASE, sealed, until) == data
    assert ours.unseal(LEASE, sealed, until + LATE_SECONDS) is None
    assert ours.unseal(REPORT, sealed, until) is documents("other").unseal(LEASE, sealed, until) is None


@given(st.binary(max_size=200))
def test_unsealed(data):
    """What is not sealed is not believed where signatures are required."""
    assert documents("secret").unseal(LEASE, data) is None
    assert documents("secret", mode="off").unseal(LEASE, data) == data
