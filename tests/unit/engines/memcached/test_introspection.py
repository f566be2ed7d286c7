"""What nodes say of themselves, whole, cut anywhere, and made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.engines.inspection import MAX_WORD_BYTES
from django_dcache.engines.memcached.introspection import MemcachedReply, parse_report

KEY = b"_dc:default:state"
STATS = b"STAT pid 1\r\nSTAT curr_items 7\r\nSTAT version 1.6.18\r\nEND\r\n"
SETTINGS = b"STAT maxbytes 64\r\nSTAT inter a b\r\nEND\r\n"
VALUE = b"VALUE _dc:default:state 5 4\r\n\r\n!!\r\nEND\r\n"
ANSWER = STATS + SETTINGS + VALUE + b"VERSION 1.6.18\r\n"


def test_words():
    """Statistics, settings, documents (with line ends in them) and the version are told apart."""
    reply = parse_report(ANSWER, [KEY])
    assert reply.statistics == {"pid": "1", "curr_items": "7", "version": "1.6.18"}
    assert reply.settings == {"maxbytes": "64", "inter": "a b"}
    assert (reply.documents, reply.version, reply.complaint) == ({KEY: b"\r\n!!"}, "1.6.18", "")


@pytest.mark.parametrize("size", range(len(ANSWER)))
def test_an_answer_cut_anywhere(size):
    """What came before the cut is kept, nothing is made up, and the rest is complained of."""
    reply = parse_report(ANSWER[:size], [KEY])
    whole = parse_report(ANSWER, [KEY])
    assert reply.complaint
    assert reply.version == ""
    assert reply.statistics in ({}, whole.statistics)
    assert reply.settings in ({}, whole.settings)
    assert reply.documents in ({}, whole.documents)


@given(st.binary(max_size=300))
def test_any_answer_can_be_read(noise):
    """No bytes, alone or in the middle of a sound answer, break the parser or leave an unprintable word."""
    for answer in (noise, STATS + noise, STATS + SETTINGS + noise, STATS + SETTINGS + VALUE + noise):
        reply = parse_report(answer, [KEY])
        said = [reply.version, reply.complaint, *reply.statistics, *reply.statistics.values(), *reply.settings.values()]
        assert all(word.isascii() and word.isprintable() for word in said)


def test_words_are_cut_to_size():
    """A node can't fill a screen with one word, nor smuggle a terminal's commands into it."""
    reply = parse_report(b"STAT x \x1b[2J" + b"a" * 10_000 + b"\r\nEND\r\n", [])
    assert reply.statistics["x"].startswith(r"\x1b[2Ja")
    assert len(reply.statistics["x"]) < MAX_WORD_BYTES + 10


@pytest.mark.parametrize(
    ("word", "number"),
    [("0", 0), ("17", 17), ("-1", None), ("1.5", None), ("", None), ("NaN", None), ("9" * 5000, None)],
)
def test_numbers(word, number):
    """A number is a whole one of 64 bits in plain digits; whatever else a node says is none."""
    assert MemcachedReply(statistics={"x": word}).number("x") == number


def test_statistics_that_are_refused():
    """A node that does not tell its settings still tells the rest."""
    reply = parse_report(STATS + b"CLIENT_ERROR no\r\n" + b"END\r\n" + b"VERSION 1\r\n", [KEY])
    assert (reply.settings, reply.documents, reply.version, reply.complaint) == ({}, {}, "1", "")
