"""RESP, from chunks cut anywhere and from servers that lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.engines.redis.resp import MAX_LINE_BYTES, TOO_LARGE, Error, Reader, Status, command
from django_dcache.errors import ProtocolViolation

TEXT = b"+OK\r\n-ERR no\r\n:-7\r\n$5\r\nhe\r\no\r\n$-1\r\n*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n*-1\r\n$0\r\n\r\n"
REPLIES = [b"OK", b"ERR no", -7, b"he\r\no", None, [b"a", [1, []]], None, b""]


def test_command():
    """A command is an array of strings, whatever bytes are in them."""
    assert command(b"SET", b"k", b"\r\n") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"


@given(st.sets(st.integers(1, len(TEXT) - 1)))
def test_cut_anywhere(places):
    """Replies are the same however the bytes arrive, and it is complete with the last byte."""
    reader, edges = Reader(len(REPLIES)), [0, *sorted(places), len(TEXT)]
    complete = [reader.feed(TEXT[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert reader.raw == REPLIES and reader.rest == 0
    assert [type(reader.raw[0]), type(reader.raw[1])] == [Status, Error]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_noise(noise, cut):
    """Whatever bytes come, they are replies, or more is waited for, or that is a violation; nothing else is raised."""
    reader = Reader(3, 1000)
    try:
        for chunk in (noise[:cut], noise[cut:]):
            if chunk and reader.feed(chunk):
                break
    except ProtocolViolation:
        pass
    assert len(reader.raw) <= 3


@given(st.integers(1, 300), st.booleans())
def test_too_large(size, nested):
    """A value above the limit is skipped while it comes, also inside of an array; what follows is read."""
    reader, head = Reader(2, 100), b"*2\r\n:1\r\n" if nested else b""
    text = head + b"$300\r\n" + b"x" * 300 + b"\r\n+OK\r\n"
    complete = [reader.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert complete[-1] and reader.raw == [[1, TOO_LARGE] if nested else TOO_LARGE, b"OK"]


def test_what_follows():
    """Bytes after the last reply are counted: where nothing else was asked, the connection is out of step."""
    reader = Reader(1)
    assert reader.feed(b"xx:1\r\n:2\r\n", 2) and reader.rest == 4


@pytest.mark.parametrize(
    "text",
    [
        *(b"HTTP/1.1 400 Bad\r\n", b"VA 1\r\n", b"\r\n", b"%1\r\n", b"_\r\n", b">2\r\n"),
        *(b"$-2\r\n", b"$9999999999\r\n", b"$1_0\r\n", b"$\xc2\xb2\r\n", b"$ 1\r\n", b":\r\n", b":1x\r\n"),
        *(b"*17\r\n", b"*-2\r\n", b"*1\r\n" * 4, b"$1\r\nabc", b"+" + b"x" * MAX_LINE_BYTES),
    ],
)
def test_violations(text):
    """What RESP 2 does not know, sizes that are none or out of bounds, and lines without an end are refused at once."""
    with pytest.raises(ProtocolViolation):
        Reader(1).feed(text)
