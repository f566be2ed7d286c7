"""The compiled extra does what its twin does, gives back what it borrows, and is chosen only where it fits."""

import gc
import sys
import tracemalloc
from array import array
from bisect import bisect_left
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.engines.memcached import hot
from django_dcache.model import locate as placing
from django_dcache.runtime import speed

try:
    import dcache_speed
except ImportError:
    dcache_speed = None

compiled = pytest.mark.skipif(dcache_speed is None, reason="no compiled extra: no C compiler, or no Python.h")

made_keys = st.lists(st.text(max_size=20), max_size=6)
POINTS = [3, 10**9, 2**31, 2**32 - 2]
PACKED = array("I", POINTS).tobytes()

OPAQUE = 7
odd = st.sampled_from([b"", b"007", b"-1", b"+1", b" 1", b"\xb2", b"1_0"])
digits = st.integers(0, 10**11).map(b"%d".__mod__) | odd
sizes = st.sampled_from([b"0", b"1", b"3", b"03", b"99999999", b"999999999"]) | digits
numbers = st.sampled_from([b"7", b"8", b"9", b"10"]) | digits
endings = st.sampled_from([b"\r\n", b" Z\r\n", b"Z\r\n", b" Z", b"\n", b"\r", b" W\r\n", b""])
values = st.sampled_from([b"\r\n", b"a\r\n", b"abc\r\n", b"\r\n\r\r\n", b"abcd", b"abc\n", b"abc\r", b""])
hits = st.tuples(sizes, digits, numbers, endings, values).map(b"VA %b f%b O%b%b%b".__mod__)
misses = st.tuples(numbers, endings).map(b"EN O%b%b".__mod__)
noise = st.sampled_from([b"SERVER_ERROR\r\n", b"MN\r\n", b"HD\r\n", b"VA ", b"EN", b"E", b"\0", b"VA 1 f"])
streams = st.lists(hits | misses | noise | st.binary(max_size=10), max_size=6).map(b"".join)


@st.composite
def in_step(draw):
    """What a node would say to some questions, cut off somewhere, with one byte another now and then."""
    data = b""
    for number in range(OPAQUE, OPAQUE + draw(st.integers(0, 6))):
        value = draw(st.binary(max_size=5))
        hit = b"VA %d f%d O%d\r\n%b\r\n" % (len(value), draw(st.integers(0, 10**9)), number, value)
        data += draw(st.sampled_from([hit, b"EN O%d\r\n" % number, b"VA 0 f0 O%d Z\r\n\r\n" % number]))
    data = bytearray(data[: draw(st.integers(0, len(data)))])
    if data and draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def read(module, data, asked, number=0):
    """All that `answers` says and does."""
    found, missed = {}, []
    return module.answers(data, asked, number, OPAQUE, found, missed), found, missed


@compiled
@given(st.lists(st.binary(max_size=250)), st.integers(0, 2**32))
@example([], 0)
def test_questions(keys, opaque):
    """Questions are the same, byte for byte."""
    assert dcache_speed.questions(keys, opaque) == hot.questions(keys, opaque)


@compiled
@given(st.text(max_size=300) | st.text("ab:é", max_size=300) | st.just("_dc:state") | st.just("\ud800"))
def test_locate(made_key):
    """A key has the same name, point and slot, or is no key for either."""
    assert dcache_speed.locate(made_key) == placing.locate(made_key)


@compiled
@given(
    st.lists(st.text("ab:é ", min_size=1, max_size=30), max_size=9),
    st.lists(st.sampled_from([0, 1, 65535]), min_size=5, max_size=5),
)
def test_group(made_keys, owners):
    """Keys are grouped by the owner of their point, behind its mark, up to the first one that has none."""
    expected = [([], []), ([], [])]
    for number, made_key in enumerate(made_keys):
        located = placing.locate(made_key)
        index = located and bisect_left(POINTS, located[1])
        if located is None or owners[index] > 1:
            expected = number
            break
        name, _, _ = located
        expected[owners[index]][0].append([b"", b"\xff3;"][owners[index]] + name)
        expected[owners[index]][1].append(made_key)
    packed = bytearray(array("H", owners).tobytes())
    assert dcache_speed.group(made_keys, PACKED, packed, [b"", b"\xff3;"]) == expected


@compiled
@given(streams | in_step(), made_keys, st.integers(0, 7))
def test_answers(data, asked, number):
    """Whatever the bytes are, both find the same, miss the same and stop at the same place."""
    assert read(dcache_speed, data, asked, number) == read(hot, data, asked, number)


@compiled
@given(streams | in_step(), st.sampled_from([7, 8]))
@example(b"VA 99999999 f999999999 O7\r\n", 7)
@example(b"VA 1 f0 O0000000007\r\na\r\n", 7)
def test_found(data, opaque):
    """Whatever the bytes are, both take the same for a value."""
    assert dcache_speed.found(data, opaque) == hot.found(data, opaque)


@compiled
@given(in_step(), made_keys, st.integers(0, 200))
def test_answers_in_two_parts(data, asked, where):
    """Where the bytes are cut in two makes no difference to either."""
    for module in (dcache_speed, hot):
        (position, number), found, missed = read(module, data[:where], asked)
        if position != hot.OUT_OF_STEP:
            rest = data[:where][position:] + data[where:]
            (_, number), more, others = read(module, rest, asked, number)
            assert ({**found, **more}, missed + others) == read(module, data, asked)[1:]


FOUR = list("abcd")
STREAM = b"VA 3 f16 O7\r\nabc\r\nEN O8\r\nVA 0 f0 O9 Z\r\n\r\nVA 10 f1 O10\r\n0123456789\r\n"


def damaged():
    """Every beginning of the stream, and the stream with any byte at any place, in place of another or before it."""
    for place in range(len(STREAM) + 1):
        yield STREAM[:place]
        for byte in range(256):
            yield STREAM[:place] + bytes([byte]) + STREAM[place + 1 :]
            yield STREAM[:place] + bytes([byte]) + STREAM[place:]
    for zeros in range(12):
        for field in (b"VA ", b" f", b" O"):
            yield STREAM.replace(field, field + b"0" * zeros, 1)
            yield STREAM.replace(field, field + b"9" * zeros, 1)


@compiled
def test_damaged_answers():
    """Cut off anywhere, with any byte wrong or too much, with any number of digits: both say the same."""
    for data in damaged():
        assert read(dcache_speed, data, FOUR) == read(hot, data, FOUR), data
        assert dcache_speed.found(data, OPAQUE) == hot.found(data, OPAQUE), data


KEYS, OWNERS = ["a", "b"], bytearray(10)
WRONG = [
    ("locate", (None,)),
    ("locate", ()),
    ("group", (None, PACKED, OWNERS, [b""])),
    ("group", (["a", None], PACKED, OWNERS, [b""])),
    ("group", (KEYS, PACKED, OWNERS[:2], [b""])),
    ("group", (KEYS, PACKED, b"text", [b""])),
    ("group", (KEYS, PACKED, OWNERS, None)),
    ("group", (KEYS, PACKED, OWNERS, ["text"])),
    ("questions", ([b"a", None], 1)),
    ("questions", ([b"a", "text"], 1)),
    ("questions", ([b"a"], -1)),
    ("questions", ([b"a"], "1")),
    ("answers", ("text", KEYS, 0, 7, {}, [])),
    ("answers", (b"EN O7\r\n", KEYS, -1, 7, {}, [])),
    ("answers", (b"EN O7\r\n", (), 0, 7, {}, [])),
    ("answers", (b"EN O7\r\n", KEYS, 0, 7, {}, None)),
    ("answers", (b"VA 1 f0 O7\r\na\r\n", KEYS, 0, 7, None, [])),
    ("answers", (b"VA 1 f0 O7\r\na\r\n", [[]], 0, 7, {}, [])),
    ("answers", (b"", KEYS, 2**70, 7, {}, [])),
    ("found", ("text", 7)),
    ("found", (b"", None)),
    ("found", ()),
]
RIGHT = [
    ("locate", ("a",)),
    ("locate", ("a b",)),
    ("locate", ("\ud800",)),
    ("group", (KEYS, PACKED, OWNERS, [b"mark"])),
    ("group", (["a", "a b"], PACKED, OWNERS, [b"mark"])),
    ("questions", ([b"a", b"b"], 2**40)),
    ("answers", (b"VA 1 f0 O7\r\na\r\nEN O8\r\nVA 5 ", ["a", "b", "c"], 0, 7, {}, [])),
    ("answers", (b"VA 1 f0 O7\r\na\r\nEN O9\r\n", ["a", "b", "c"], 0, 7, {}, [])),
    ("answers", (b"NO\r\n", ["a", "b", "c"], 0, 7, {}, [])),
    ("found", (b"VA 1 f0 O7\r\na\r\n", 7)),
    ("found", (b"EN O7\r\n", 7)),
]


def parts(value):
    """Everything inside of some arguments."""
    return [value, *(part for item in value for part in parts(item))] if isinstance(value, tuple | list) else [value]


def call(function, arguments):
    """What gets the results is new each time."""
    return getattr(dcache_speed, function)(*({} if part == {} else [] if part == [] else part for part in arguments))


@compiled
@pytest.mark.parametrize(("function", "arguments"), WRONG)
def test_what_makes_no_sense_is_refused(function, arguments):
    """Arguments of the wrong kind, number or size raise an exception, and nothing worse happens."""
    with pytest.raises((TypeError, ValueError, SystemError, IndexError, OverflowError, ZeroDivisionError)):
        call(function, arguments)


def held(function, arguments, watched, calls):
    """How many references there are to each of `watched`, and how much memory is in use, after so many calls."""
    for _ in range(calls):
        try:
            call(function, arguments)
        except Exception:
            pass
    gc.collect()
    return [*map(sys.getrefcount, watched), tracemalloc.get_traced_memory()[0]]


@compiled
@pytest.mark.parametrize(("function", "arguments"), RIGHT + WRONG)
def test_references_are_given_back(function, arguments):
    """After ten thousand calls, failing ones among them, nothing is held that was not held before."""
    watched = parts(arguments)
    tracemalloc.start()
    try:
        before = held(function, arguments, watched, 10)
        after = held(function, arguments, watched, 10_000)
    finally:
        tracemalloc.stop()
    # What others count and keep at the same time is far less than one reference or one object for each call.
    *counts, size = map(int.__sub__, after, before)
    assert max(counts) < 5_000 and min(counts) > -5_000 and size < 100_000


def extra(interface):
    """An installed extra."""
    return SimpleNamespace(INTERFACE=interface)


def test_what_is_installed_is_taken():
    """An extra with the right interface is taken; none is where there is none, or DCACHE_SPEED is 0."""
    installed = extra(speed.INTERFACE)
    assert speed.choose(installed, None) is speed.choose(installed, "1") is installed
    assert speed.choose(installed, "0") is speed.choose(None, None) is None


def test_another_interface_is_left_alone():
    """An extra with another interface is not used, and a warning says what to install."""
    with pytest.warns(RuntimeWarning, match="pip install"):
        assert speed.choose(extra(speed.INTERFACE + 1), None) is None


@compiled
def test_this_one_is_taken():
    """The extra in this repository has the interface that this django-dcache asks for."""
    assert speed.choose(dcache_speed, None) is dcache_speed
