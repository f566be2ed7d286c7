"""Values as bytes: whatever goes in comes out, numbers can be counted with, and nothing else ever comes out."""

import pickle
from decimal import Decimal
from enum import IntEnum

import pytest
from django.utils.safestring import SafeString, mark_safe
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.conf import Options
from django_dcache.errors import UnreadableValue
from django_dcache.values import PROVEN_BYTES, codec_for
from django_dcache.values.plain import BYTES, INTEGER, LONG, PICKLE, TEXT

LEAST, MOST = -(2**63), 2**64 - 1
edges = [LEAST - 1, LEAST, LEAST + 1, -1, 0, 1, 2**63 - 1, 2**63, MOST, MOST + 1, MOST + 2, 10**5000, -(10**5000)]
any_text = st.text(st.characters(exclude_categories=()))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text | st.binary()
values = st.recursive(
    scalars | st.decimals(allow_nan=False) | st.datetimes() | st.uuids(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(any_text, inner),
    max_leaves=10,
)


class Colour(IntEnum):
    RED = 1


class Hostile:
    """Unpickling it raises."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _raise, (self.error,)


def _raise(error):
    raise error


def codec(**options):
    """That of an alias with these options."""
    return codec_for(Options(**options), "default", lambda: ())


def encode(value, **options):
    """As under any key: a plain value does not depend on it."""
    return codec(**options).encode("key", value)


def decode(flags, data):
    """The same, back."""
    return codec().decode("key", flags, data)


def back(value):
    return decode(*encode(value))


@given(values)
@example("")
@example(b"")
@example("\ud800")
@example("é\x00\r\n")
@example(True)
def test_round_trip(value):
    """Any picklable value comes back equal and of the same type."""
    assert back(value) == value and type(back(value)) is type(value)


@pytest.mark.parametrize("number", edges, ids=lambda number: f"{'-' * (number < 0)}{number.bit_length()} bits")
def test_whole_numbers(number):
    """Whole numbers come back within 64 bits and far beyond."""
    assert back(number) == number


@given(st.integers(LEAST, MOST))
@example(-1)
@example(LEAST)
def test_countable_numbers(number):
    """A number of 64 bits is stored as the digits that Django's own backend stores, which a node can count with."""
    assert encode(number) == (INTEGER, b"%d" % number)


@pytest.mark.parametrize("number", [LEAST - 1, MOST + 1])
def test_numbers_too_large_to_count_with(number):
    """A number that takes more than 64 bits is kept whole, not cut to what a node can count with."""
    assert encode(number)[0] == PICKLE


@pytest.mark.parametrize("kept", [b"5 ", b"5    ", b"5"])
def test_trailing_spaces(kept):
    """A node that counts down may leave spaces where digits were."""
    assert decode(INTEGER, kept) == 5


@pytest.mark.parametrize("value", [True, False, Colour.RED, mark_safe("<b>"), Decimal("1.0")])
def test_subclasses_keep_their_type(value):
    """What is only nearly a str or an int comes back as what it was."""
    assert type(back(value)) is type(value)


@pytest.mark.parametrize(
    ("flags", "data", "value"),
    [
        (BYTES, b"raw", b"raw"),
        (TEXT, "é".encode(), "é"),
        (INTEGER, b"-5", -5),
        (LONG, b"5", 5),
        (INTEGER, b"%d" % 2**63, 2**63),
        (INTEGER, b"%d" % (2**64 - 1), 2**64 - 1),
        (INTEGER, b"%d" % 2**64, 2**64),
        (LONG, b"%d" % 10**30, 10**30),
        (INTEGER, b"%d" % -(10**30), -(10**30)),
        (PICKLE, pickle.dumps([1], 2), [1]),
    ],
)
def test_values_of_pymemcache(flags, data, value):
    """Values that Django's own backend has stored are read as what they were."""
    assert decode(flags, data) == value


@pytest.mark.parametrize(
    ("flags", "data"),
    [
        (INTEGER, b""),
        (INTEGER, b"five"),
        (INTEGER, b"1_0"),
        (INTEGER, b"5\n"),
        (INTEGER, b"9" * 5000),
        (TEXT, b"\xff"),
        (PICKLE, b""),
        (PICKLE, b"\x80"),
        (PICKLE, b"cno.such.module\nThing\n."),
        (PICKLE, pickle.dumps(SafeString)[:-2]),
        (3, b"x"),
        (32, b"x"),
        (2**32 - 1, b"x"),
    ],
)
def test_unreadable(flags, data):
    """What no version of this software wrote is unreadable, and not some value."""
    with pytest.raises(UnreadableValue):
        decode(flags, data)


@given(st.integers(0, 2**32 - 1) | st.sampled_from([BYTES, INTEGER, LONG, TEXT]), st.binary(max_size=50))
def test_any_bytes(flags, data):
    """Any bytes under any flags but a pickle's are a value or unreadable, never another error."""
    if flags == PICKLE:
        return  # A few bytes are enough for a pickle to call something, or to take all memory.
    try:
        decode(flags, data)
    except UnreadableValue:
        pass


@pytest.mark.parametrize(
    "error", [ValueError("x"), MemoryError(), RecursionError(), AttributeError("gone"), SystemExit(3)]
)
def test_a_class_that_can_not_be_unpickled(error):
    """Whatever a class raises when it is unpickled makes the value unreadable."""
    with pytest.raises(UnreadableValue, match=type(error).__name__):
        decode(*encode(Hostile(error)))


def test_an_interrupt_is_no_unreadable_value():
    """Somebody who wants to stop the process is not kept from it."""
    with pytest.raises(KeyboardInterrupt):
        decode(*encode(Hostile(KeyboardInterrupt())))


def test_what_can_not_be_pickled():
    """A value that can't be pickled raises what pickle raises."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        encode(lambda: None)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_protocols(protocol):
    """Values pickled by any protocol are readable."""
    assert decode(*encode([1, "é"], pickle_protocol=protocol)) == [1, "é"]


def test_proof_is_remembered():
    """What was seen to be readable is not decoded again, under its own key; a large value, and one that is not, is."""
    loads, codec = [], codec_for(Options(), "shop", tuple)
    Told.loads = loads
    value, large = pickle.dumps(Told()), pickle.dumps((Told(), bytes(PROVEN_BYTES)))
    for data, made_key, seen in ((value, "a", 1), (value, "a", 1), (value, "b", 2), (large, "a", 3), (large, "a", 4)):
        assert codec.readable(made_key, PICKLE, data) and len(loads) == seen
    assert not any(codec.readable("a", PICKLE, b"\x80") for _ in range(2))


class Told:
    """Unpickling it is counted."""

    loads: list[None]

    def __setstate__(self, state):
        self.loads.append(None)

    def __getstate__(self):
        return 1
