"""A parser for one command and others behind it: each of the two reads its own part, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.commands import Answer, Get, Value
from django_dcache.engines import memcached
from django_dcache.engines.memcached.hot import QuietParser
from django_dcache.engines.shortcut import InTurn
from django_dcache.errors import ProtocolViolation

PLAIN = b"VA 5 f0 O7\r\nvalue\r\nNF O8\r\n"


def parser():
    """Of a get with the number 7, and two stores that are answered as a whole, with the number 8."""
    return InTurn(memcached.ENGINE.parser([Get(b"key")], 7, 0, 2**20), QuietParser(2, 8))


@given(st.lists(st.integers(1, len(PLAIN) - 1), max_size=5))
def test_cut_anywhere(cuts):
    """The replies are there when the last byte is, and not before."""
    places = [0, *sorted(set(cuts)), len(PLAIN)]
    asked = parser()
    pieces = [PLAIN[begin:end] for begin, end in zip(places, places[1:], strict=False)]
    assert [asked.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert asked.replies == [Value(b"value"), Answer.DONE, Answer.DONE] and asked.complete and not asked.tainted
    assert asked.feed(b"") is True and len(asked.replies) == 3  # As a flow looks that takes over.


@pytest.mark.parametrize("said", [b"EN O9\r\n", b"EN O7\r\nEN O9\r\n", b"EN O7\r\nNF O8\r\nNF O9\r\n", b"hello\r\n"])
def test_what_was_not_asked_for(said):
    """Any other reply is a violation, and stays one."""
    asked = parser()
    for more in (said, b"", b"EN O7\r\nNF O8\r\n"):
        with pytest.raises(ProtocolViolation):
            asked.feed(more)
    assert not asked.refused


def test_others_that_are_refused():
    """Where some of the others are refused the parser says so, and that the node is through."""
    asked = parser()
    with pytest.raises(ProtocolViolation):
        asked.feed(b"EN O7\r\nSERVER_ERROR object too large for cache\r\nNF O8\r\n")
    assert asked.refused


def test_the_one_that_is_refused():
    """Where the one command is refused the replies can be trusted, and the connection can't any more."""
    asked = parser()
    assert asked.feed(b"SERVER_ERROR out of memory\r\nNF O8\r\n") is True
    assert asked.tainted and not asked.refused and asked.replies[1:] == [Answer.DONE] * 2
