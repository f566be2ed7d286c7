"""Values that come in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.engines.body import Body
from django_dcache.errors import ProtocolViolation

VALUE = b"0123456789\r\n\r\nabc"


def fed(stream, size, places):
    """The body whose bytes begin behind the head of the first chunk, and where in the last chunk it ended."""
    edges = [0, *sorted(places), len(stream)]
    first, *chunks = [stream[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]
    body, stop = Body(size, b"head" + first, 4), 0
    for chunk in chunks:
        if not body.missing:
            break
        stop = body.feed(chunk)
    return body, stop


@given(st.lists(st.integers(0, len(VALUE) + 1), min_size=1, max_size=8))
def test_cut_anywhere(places):
    """A value is the same wherever its bytes are cut, the end of its line too."""
    body, _ = fed(VALUE + b"\r\n", len(VALUE), places)
    assert not body.missing and body.joined() == VALUE


def test_what_follows():
    """What follows a value in the same chunk is left where it is."""
    body, stop = fed(VALUE + b"\r\nNEXT", len(VALUE), [5])
    assert (body.joined(), stop) == (VALUE, len(VALUE) + 2 - 5)


def test_nothing():
    """An empty value has an end, too."""
    body, _ = fed(b"\r\n", 0, [0, 1])
    assert body.joined() == b""


@pytest.mark.parametrize("end", [b"\n\r", b"\r\r", b"xx"])
@pytest.mark.parametrize("place", range(len(VALUE), len(VALUE) + 2))
def test_a_wrong_end(end, place):
    """A value that does not end where it should is a violation, wherever it is cut."""
    body, _ = fed(VALUE + end, len(VALUE), [place])
    with pytest.raises(ProtocolViolation):
        body.joined()
