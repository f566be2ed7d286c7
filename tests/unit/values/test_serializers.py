"""Serializers: what each takes, what it refuses, and that none reads what another wrote unless it was told to."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.conf import Options, parse
from django_dcache.errors import ConfigurationError, UnreadableValue
from django_dcache.values import codec_for, serializers
from support import extras

OWN = "support.own_serializers"
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ran = []


class Planted:
    """Unpickling it runs code."""

    def __reduce__(self):
        return ran.append, ("ran",)


def codec(**options):
    """That of an alias with these options."""
    return codec_for(Options(**options), "default", lambda: ())


@pytest.mark.parametrize("name", extras.options(*serializers.NAMES, f"{OWN}.Literals", f"{OWN}.reversed_literals"))
@given(json_values)
def test_round_trip(name, value):
    """Whatever JSON has words for comes back equal and of the same type, by every serializer."""
    mine = codec(serializer=name)
    back = mine.decode("key", *mine.encode("key", value))
    assert back == value and type(back) is type(value)


@given(json_values.filter(lambda value: type(value) not in (str, int)))
def test_json_is_json(value):
    """What is written is JSON by the standard, whichever library wrote it."""
    for name in filter(extras.installed, ("json", "msgspec")):
        flags, data = codec(serializer=name).encode("key", value)
        assert flags == serializers.JSON and json.loads(data) == value


@pytest.mark.parametrize("writer", extras.options("json", "msgspec"))
@pytest.mark.parametrize("reader", extras.options("json", "msgspec"))
def test_one_format_two_libraries(writer, reader):
    """The flags tell the format, not the library: each JSON serializer reads what the other wrote."""
    value = {"name": "Zoë", "prices": [1, 2.5, None, True]}
    assert codec(serializer=reader).decode("key", *codec(serializer=writer).encode("key", value)) == value


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1, 2}, [b"bytes"], object(), {"at": Planted()}])
def test_what_json_has_no_word_for(value):
    """JSON refuses to store what it would give back as something else."""
    with pytest.raises((TypeError, ValueError)):
        codec(serializer="json").encode("key", value)


@pytest.mark.parametrize("value", ["text", b"bytes", 5, -(2**63), "", b"\x00\xff"])
def test_what_needs_no_serializer(value):
    """Text, bytes and whole numbers are stored the same way whatever the serializer: no deploy loses a counter."""
    written = {codec(serializer=name).encode("key", value) for name in filter(extras.installed, serializers.NAMES)}
    assert len(written) == 1


@pytest.mark.parametrize("name", extras.options("json", "msgpack", "msgspec", f"{OWN}.Literals"))
def test_a_foreign_pickle(name):
    """Where pickle is no serializer in use, a pickle that lies on a node is unreadable, and its code does not run."""
    with pytest.raises(UnreadableValue):
        codec(serializer=name).decode("key", 1, pickle.dumps(Planted()))
    assert ran == []


def test_migration():
    """During a migration both formats are read and the new one is written; after it the old one is a miss."""
    old, new = codec(), codec(serializer="json")
    between = codec(serializer="json", read_serializers=["pickle"])
    assert between.decode("key", *old.encode("key", [1])) == [1]
    assert between.decode("key", *new.encode("key", [1])) == [1]
    assert between.encode("key", [1]) == new.encode("key", [1])
    with pytest.raises(UnreadableValue, match="no serializer that may be read"):
        new.decode("key", *old.encode("key", [1]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"serializer": "nothing_like_it"}, "want pickle, json, msgpack, msgspec, or a dotted path"),
        ({"serializer": "no.such.module"}, "No module named"),
        ({"serializer": "json.nothing"}, "has no attribute"),
        ({"serializer": "os.path"}, "no methods dumps and loads"),
        ({"serializer": f"{OWN}.Greedy"}, "number 1, want 16 to 255"),
        ({"serializer": f"{OWN}.Literals", "read_serializers": [f"{OWN}.Literals"]}, "a `number` of its own"),
        ({"serializer": 5}, "want str"),
        ({"read_serializers": "pickle"}, "want a list"),
        ({"read_serializers": [pickle]}, "want a list"),
    ],
)
def test_what_is_no_serializer(options, complaint):
    """A serializer that can't be used is refused when the settings are read, with words that say what to write."""
    with pytest.raises(ConfigurationError, match=complaint):
        codec_for(parse("default", "127.0.0.1", options).options, "default", lambda: ())


def test_a_library_that_is_missing():
    """A serializer whose library is not installed says which extra brings it."""
    with pytest.raises(ConfigurationError, match=r"django-dcache\[yaml\]"):
        serializers.library("no_such_library", "yaml")


@pytest.mark.parametrize("name", extras.options("json", "msgpack", "msgspec"))
@given(st.binary(max_size=80))
def test_any_bytes(name, data):
    """Any bytes under a serializer's flags are a value or unreadable, never another error."""
    mine = codec(serializer=name)
    try:
        mine.decode("key", mine.encode("key", [])[0], data)
    except UnreadableValue:
        pass


@pytest.mark.parametrize("name", extras.options("json", "msgpack", "msgspec"))
def test_nested_too_deeply(name):
    """Bytes that nest a hundred thousand lists are unreadable, and do not end the process."""
    deep = b"[" * 10**5 + b"]" * 10**5 if name != "msgpack" else b"\x91" * 10**5 + b"\x90"
    mine = codec(serializer=name)
    with pytest.raises(UnreadableValue):
        mine.decode("key", mine.encode("key", [])[0], deep)
