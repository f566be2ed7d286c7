"""Replies as they are parsed: right wherever they are cut, or refused."""

from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.commands import Answer, Arithmetic, Flush, Get, Refused, Remove, Store, Token, Touch, Value
from django_dcache.engines.memcached.protocol import (
    MAX_LINE_BYTES,
    MAX_VALUE_BYTES,
    ReplyParser,
)
from django_dcache.errors import ProtocolViolation

FIRST, SERIAL = 40, 7
"""The opaque number of the first command, and the connection's serial number."""
OOM = b"SERVER_ERROR out of memory storing object\r\n"
NON_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
TOKEN = Token(99, SERIAL)
ANSWERS = [
    (Get(b"k"), b"VA 5 f16 O%d\r\nhello\r\n", Value(b"hello", 16)),
    (Get(b"k"), b"VA 0 f0 O%d\r\n\r\n", Value(b"")),
    (Get(b"k"), b"VA 8 f1 O%d\r\nEN\r\nHD\r\n\r\n", Value(b"EN\r\nHD\r\n", 1)),
    (Get(b"k"), b"VA 3 O%d f0\r\n\r\n\r\r\n", Value(b"\r\n\r")),
    (Get(b"k"), b"VA 0 f0 O%d Z\r\n\r\n", Value(b"", stub=True)),
    (Get(b"k", ttl=True, token=True), b"VA 1 t-1 c99 f0 O%d\r\nx\r\n", Value(b"x", 0, None, TOKEN)),
    (Get(b"k", ttl=True), b"VA 1 t0 f0 O%d\r\nx\r\n", Value(b"x", 0, 0)),
    (Get(b"k", lease=True), b"VA 0 c99 f0 O%d W\r\n\r\n", Value(b"", 0, None, TOKEN, won=True, stub=True)),
    (Get(b"k", lease=True), b"VA 0 c99 f0 O%d Z\r\n\r\n", Value(b"", 0, None, TOKEN, stub=True)),
    (Get(b"k"), b"VA 1 f0 O%d X W\r\nx\r\n", Value(b"x", won=True, stub=True)),
    (Get(b"k"), b"EN O%d\r\n", Answer.MISS),
    (Get(b"k", value=False), b"HD s5 f16 O%d\r\n", Value(None, 16)),
    (Get(b"k", value=False, token=True), b"HD s5 c99 f16 O%d\r\n", Value(None, 16, None, TOKEN)),
    (Get(b"k", value=False), b"HD s0 f0 O%d Z\r\n", Value(None, stub=True)),
    (Get(b"k"), OOM, Refused(OOM[:-2].decode())),
    (Store(b"k", 0, b"v"), b"HD O%d\r\n", Answer.DONE),
    (Store(b"k", 0, b"v", add=True), b"NS O%d\r\n", Answer.NOT_STORED),
    (Store(b"k", 0, b"v", token=TOKEN), b"EX O%d\r\n", Answer.CONFLICT),
    (Store(b"k", 0, b"v", token=TOKEN), b"NF O%d\r\n", Answer.MISS),
    (Store(b"k", 0, b"v"), OOM, Refused(OOM[:-2].decode())),
    (Remove(b"k"), b"HD O%d\r\n", Answer.DONE),
    (Remove(b"k"), b"NF O%d\r\n", Answer.MISS),
    (Remove(b"k", token=TOKEN), b"EX O%d\r\n", Answer.CONFLICT),
    (Touch(b"k", 0, 9), b"HD O%d\r\n", Answer.DONE),
    (Touch(b"k", 0, 9), b"EN O%d\r\n", Answer.MISS),
    (Touch(b"k", 0, 9), b"HD O%d Z\r\n", Answer.MISS),
    (Arithmetic(b"k", 0, 1), b"VA 2 O%d\r\n42\r\n", Value(b"42")),
    (Arithmetic(b"k", 0, -1), b"VA 2 O%d\r\n9 \r\n", Value(b"9 ")),
    (Arithmetic(b"k", 0, 1), b"NF O%d\r\n", Answer.MISS),
    (Arithmetic(b"k", 0, 1), NON_NUMERIC, Refused(NON_NUMERIC[:-2].decode(), unchanged=True)),
    (Flush(), b"OK\r\n", Answer.DONE),
]
"""Command, reply, and what the parser makes of it."""
any_answer = st.sampled_from(ANSWERS)


def spoken(answers):
    """The commands, the bytes of the replies, and the replies themselves."""
    lines = [line % (FIRST + i) if b"%d" in line else line for i, (_, line, _) in enumerate(answers)]
    return [command for command, _, _ in answers], b"".join(lines), [reply for _, _, reply in answers]


def parse(commands, chunks):
    """The parser after these chunks."""
    parser = ReplyParser(commands, FIRST, SERIAL)
    for chunk in chunks:
        if parser.feed(chunk):
            break
    return parser


def cut(data, places):
    """`data` in pieces."""
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


# Replies


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{type(answer[0]).__name__} {answer[1][:20]}")
def test_cut_anywhere(answer):
    """Each kind of reply is read alike whole, in two parts, in three parts, and byte by byte."""
    commands, data, replies = spoken([answer])
    ways = [places for parts in (0, 1, 2) for places in combinations(range(1, len(data)), parts)]
    for places in [*ways, range(1, len(data))]:
        parser = parse(commands, cut(data, places))
        assert parser.complete and parser.replies == replies
        assert parser.tainted == isinstance(replies[0], Refused)


@given(st.lists(any_answer, min_size=1, max_size=8), st.data())
def test_batch_cut_anywhere(answers, data):
    """A batch of any replies is read alike however its bytes arrive."""
    commands, stream, replies = spoken(answers)
    places = data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=12))
    parser = parse(commands, cut(stream, places))
    assert parser.complete and parser.replies == replies and parser.rest == 0


def test_all_of_them_in_one_batch():
    """A batch of every kind of reply is read alike at each split in two, and byte by byte."""
    commands, stream, replies = spoken(ANSWERS)
    for places in [*((place,) for place in range(1, len(stream))), range(1, len(stream))]:
        assert parse(commands, cut(stream, places)).replies == replies


@given(st.lists(any_answer, min_size=1, max_size=5), st.data())
def test_truncation(answers, data):
    """From the beginning of a stream come only replies that are whole, and the batch is not complete."""
    commands, stream, replies = spoken(answers)
    parser = parse(commands, [stream[: data.draw(st.integers(0, len(stream) - 1))]])
    assert not parser.complete
    assert parser.replies == replies[: len(parser.replies)]


@given(st.lists(any_answer, min_size=1, max_size=4), st.binary(min_size=1, max_size=40))
@example([ANSWERS[0]], b"VA 5 f16 O41\r\nhello\r\n")
def test_what_follows_the_last_reply(answers, stray):
    """More bytes than were asked for change no reply, and are told of, so that the connection is not used again."""
    commands, stream, replies = spoken(answers)
    parser = parse(commands, [stream + stray])
    assert parser.replies == replies
    assert parser.rest == len(stray) and parser.tainted


@given(st.lists(any_answer, min_size=1, max_size=4), st.integers(0, 50))
def test_starting_inside_a_chunk(answers, before):
    """A parser may start anywhere in a chunk, where the replies to somebody else end."""
    commands, stream, replies = spoken(answers)
    parser = ReplyParser(commands, FIRST, SERIAL)
    middle = len(stream) // 2
    assert not parser.feed(b"x" * before + stream[:middle], before)
    assert parser.feed(stream[middle:])
    assert parser.replies == replies


@given(st.lists(st.integers(0, 6000), max_size=5))
def test_a_value_that_is_too_large(places):
    """A value above the limit is a miss, wherever its bytes are cut; none of it is kept, and the next ones are read."""
    commands = [Get(b"a"), Get(b"b"), Get(b"c")]
    stream = b"VA 1 f0 O%d\r\nx\r\nVA 5000 f0 O%d\r\n%b\r\nVA 1 f2 O%d\r\n7\r\n" % (
        FIRST,
        FIRST + 1,
        b"y" * 5000,
        FIRST + 2,
    )
    parser = ReplyParser(commands, FIRST, SERIAL, most=1000)
    for chunk in cut(stream, [100, 5000, *(place for place in places if place <= len(stream))]):
        parser.feed(chunk)
        assert held(parser) <= 100
    assert parser.complete and parser.replies == [Value(b"x"), Answer.MISS, Value(b"7", 2)]


def held(parser):
    """The bytes that are kept of a reply that is not complete."""
    return len(parser._unread) + (sum(map(len, parser._body._parts)) if parser._body else 0)


def takes_only_violations(commands, chunks):
    """Feeds chunk by chunk; returns the parser, or None after a ProtocolViolation. Anything else is a failure."""
    parser = ReplyParser(commands, FIRST, SERIAL)
    try:
        for chunk in chunks:
            if parser.feed(chunk):
                break
            assert held(parser) <= MAX_LINE_BYTES + MAX_VALUE_BYTES + 2
    except ProtocolViolation:
        return None
    return parser


commands = st.lists(any_answer.map(lambda answer: answer[0]), min_size=1, max_size=4)
shaped = st.lists(
    st.one_of(
        st.sampled_from(
            [b"VA ", b"HD", b"EN", b"NF", b"NS", b"EX", b"OK", b"SERVER_ERROR", b"\r\n", b"\n", b"\r", b" "]
        ),
        st.sampled_from([b"O40", b"O41", b"f", b"f-1", b"t-1", b"c0", b"c-5", b"W", b"Z", b"X", b"s5", b"O", b"O4_0"]),
        st.integers(-1, 10**25).map(lambda number: b"%d" % number),
        st.sampled_from([b"1" * 4301, b"9" * 70_000, b"\xb2", b"+1", b"1_0", b"\t5", b"\x0b5"]),
        st.binary(max_size=5),
    ),
    max_size=20,
).map(b"".join)


@given(commands, st.lists(st.binary(max_size=60), max_size=6))
def test_noise(asked, chunks):
    """Noise is refused as a ProtocolViolation or waited out, and nothing else ever comes of it."""
    parser = takes_only_violations(asked, chunks)
    assert parser is None or len(parser.replies) <= len(asked)


@given(commands, st.lists(shaped, min_size=1, max_size=3))
@example([Get(b"k")], [b"VA " + b"1" * 5000 + b" f0 O40\r\n"])
@example([Get(b"k")], [b"VA \r\n"])
@example([Get(b"k")], [b"VA\r\n"])
@example([Get(b"k")], [b"VA -5 f0 O40\r\n"])
@example([Get(b"k")], [b"EN O" + b"4" * 5000 + b"\r\n"])
@example([Get(b"k")], [b"\r\n"])
@example([Flush()], [b"VA 0 O40\r\n\r\n"])
def test_likely_noise(asked, chunks):
    """Nor of noise made of memcached's own words; whatever is taken for a reply is one to what was asked."""
    parser = takes_only_violations(asked, chunks)
    for command, reply in zip(asked, parser.replies if parser else (), strict=False):
        assert fits(command, reply)


def fits(command, reply):
    """Whether `reply` is one that memcached may give to `command`."""
    match command, reply:
        case _, Refused():
            return not isinstance(command, Flush)
        case Get(value=True), Value(data=bytes(), flags=flags, ttl=ttl, token=token):
            return 0 <= flags < 2**32 and ttl >= -1 and (token is None or 0 < token.cas < 2**64)
        case Get(value=False), Value(data=None):
            return True
        case Arithmetic(), Value(data=bytes() as data):
            return data.rstrip(b" ").isdigit() and int(data) < 2**64
        case Get(), Answer.MISS:
            return True
        case Arithmetic() | Touch() | Remove() | Store(), Answer.MISS:
            return True
        case Touch() | Remove() | Store() | Flush(), Answer.DONE:
            return True
        case Store(), Answer.NOT_STORED | Answer.CONFLICT:
            return True
        case Remove(), Answer.CONFLICT:
            return True
    return False


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (Get(b"k"), b"EN\r\n"),
        (Get(b"k"), b"EN O41\r\n"),
        (Get(b"k"), b"EN O39\r\n"),
        (Get(b"k"), b"EN O4_0\r\n"),
        (Get(b"k"), b"EN O+40\r\n"),
        (Get(b"k"), b"VA 5 f0 O41\r\nhello\r\n"),
        (Get(b"k"), b"VA 4 f0 O40\r\nhello\r\n"),
        (Get(b"k"), b"VA 5 f-1 O40\r\nhello\r\n"),
        (Get(b"k"), b"VA 5 f4294967296 O40\r\nhello\r\n"),
        (Get(b"k"), b"VA %d f0 O40\r\n" % (MAX_VALUE_BYTES + 1)),
        (Get(b"k"), b"HD f0 O40\r\n"),
        (Get(b"k"), b"NS O40\r\n"),
        (Get(b"k"), b"OK\r\n"),
        (Get(b"k"), b"END\r\n"),
        (Get(b"k"), b"VALUE k 0 5\r\nhello\r\nEND\r\n"),
        (Get(b"k"), b"ERROR\r\n"),
        (Get(b"k"), b"CLIENT_ERROR bad command line format\r\n"),
        (Get(b"k"), NON_NUMERIC),
        (Get(b"k", value=False), b"VA 5 f0 O40\r\nhello\r\n"),
        (Get(b"k", ttl=True), b"VA 5 t-2 f0 O40\r\nhello\r\n"),
        (Store(b"k", 0, b"v"), b"VA 5 f0 O40\r\nhello\r\n"),
        (Store(b"k", 0, b"v"), b"EN O40\r\n"),
        (Remove(b"k"), b"NS O40\r\n"),
        (Remove(b"k"), b"EN O40\r\n"),
        (Remove(b"k"), b"STORED\r\n"),
        (Touch(b"k", 0, 1), b"NF O40\r\n"),
        (Arithmetic(b"k", 0, 1), b"HD O40\r\n"),
        (Arithmetic(b"k", 0, 1), b"VA 5 O40\r\nhello\r\n"),
        (Arithmetic(b"k", 0, 1), b"VA 3 O40\r\n1_0\r\n"),
        (Arithmetic(b"k", 0, 1), b"VA 2 O40\r\n-1\r\n"),
        (Arithmetic(b"k", 0, 1), b"VA 0 O40\r\n\r\n"),
        (Arithmetic(b"k", 0, 1), b"VA 20 O40\r\n18446744073709551616\r\n"),
        (Flush(), b"HD O40\r\n"),
        (Flush(), b"VA 0 O40\r\n\r\n"),
        (Flush(), b"ERROR\r\n"),
    ],
)
def test_replies_to_another_question(command, reply):
    """A reply that memcached would not give to this command is a violation, at every split of its bytes."""
    for place in range(len(reply)):
        assert takes_only_violations([command], [reply[:place], reply[place:]]) is None


def test_swapped_replies():
    """Replies in another order than the commands are a violation."""
    assert takes_only_violations([Get(b"a"), Get(b"b")], [b"VA 1 f0 O41\r\nb\r\nVA 1 f0 O40\r\na\r\n"]) is None


def test_line_without_an_end():
    """A line that does not end is given up before it fills the memory."""
    parser = ReplyParser([Get(b"k")], FIRST)
    with pytest.raises(ProtocolViolation, match="without an end"):
        for _ in range(MAX_LINE_BYTES + 2):
            parser.feed(b"x")


def test_large_value():
    """A large value is put together once, from as many pieces as it comes in."""
    body = b"0123456789" * 100_000
    parser = ReplyParser([Get(b"k")], FIRST)
    assert not parser.feed(b"VA %d f0 O40\r\n" % len(body))
    for start in range(0, len(body), 1000):
        assert not parser.feed(body[start : start + 1000])
    assert parser.feed(b"\r\n")
    assert parser.replies == [Value(body)]
