"""The short cut's bytes are those of the protocol, and what it makes of an answer is what the parser makes of it."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.commands import Answer, Arithmetic, Get, Remove, Store, Touch, Value, is_item
from django_dcache.engines.redis.hot import HOT
from django_dcache.engines.redis.items import new_stub, pack
from django_dcache.engines.redis.protocol import encode, parser
from django_dcache.engines.shortcut import OUT_OF_STEP
from django_dcache.errors import ProtocolViolation
from django_dcache.values.plain import INTEGER, PICKLE

KEYS = st.binary(min_size=1, max_size=250)
TTLS = st.none() | st.floats(0.001, 10**9) | st.integers(1, 10**15)
PICKLES = st.builds(pickle.dumps, st.text() | st.lists(st.integers()))
DATA = st.binary() | PICKLES | st.integers(0, 2**64 - 1).map(lambda n: b"%d" % n)
FLAGS = st.sampled_from([PICKLE, INTEGER]) | st.integers(0, 2**32 - 1)
STORED = st.builds(pack, FLAGS, DATA) | st.binary() | st.builds(new_stub) | st.just(b'{"json": 1}' * 9)


def bulk(stored):
    """A value, or none, as the server says it."""
    return b"$-1\r\n" if stored is None else b"$%d\r\n%b\r\n" % (len(stored), stored)


def parsed(commands, data):
    """The replies, or None where the parser is not through or finds something wrong."""
    reader = parser(commands, 0, 0, 2**20)
    try:
        return reader.replies if reader.feed(data) and not reader.rest else None
    except ProtocolViolation:
        return None


@given(KEYS, FLAGS, DATA, TTLS, st.integers(0, 2**64 - 1))
def test_questions(key, flags, data, ttl, delta):
    """Each question has the bytes of the commands that its flow sends first."""
    ends, size = HOT.expires(ttl), len(data)
    assert HOT.get((key, 0)) == encode([Get(key)], 0, 0)
    assert HOT.store((key, size, flags, ends, 0, data)) == encode([Store(key, 0, data, flags, ttl)], 0, 0)
    assert HOT.remove(key, 0) == encode([Remove(key)], 0, 0)
    assert HOT.touch((key, ends, 0)) == encode([Touch(key, 0, ttl)], 0, 0)
    assert HOT.count((key, delta, 0)) == encode([Arithmetic(key, 0, delta)], 0, 0)
    added = [Get(key, peek=True), Store(key, 0, data, flags, ttl, add=True)]
    assert HOT.add((key, 0, key, size, flags, ends, 1, data)) == encode(added, 0, 0)


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_questions_of_many(keys):
    """So have those of many keys."""
    assert HOT.questions(keys, 0) == encode([Get(key) for key in keys], 0, 0)


@given(STORED)
def test_a_value(stored):
    """A value that is there is found as the parser finds it; a stub is a miss."""
    data = bulk(stored)
    (reply,) = parsed([Get(b"k")], data)
    found = HOT.found(data, 0)
    assert HOT.missed(data, 0) == reply.stub
    if found:
        flags, start, stop = found
        assert (flags, data[start:stop]) == (reply.flags, reply.data) and data[stop:] == b"\r\n"
    else:
        assert reply.stub or not stored


@given(STORED, st.integers(0))
def test_a_part_of_a_value(stored, cut):
    """Of a value that came in part flags and place are right, or it is left to the parser."""
    data = bulk(stored)
    found = HOT.found(data[: cut % len(data)], 0)
    assert found in (None, HOT.found(data, 0))


LINES = st.lists(st.sampled_from([b"\r\n", b"$3", b"$-1", b"abc", b"*2"]), max_size=6).map(b"".join)
"""Values that look like replies."""


@given(st.lists(st.none() | STORED | LINES, min_size=1, max_size=9), st.integers(0))
def test_many_answers(items, cut):
    """Cut anywhere, the answers to many questions are those that the parser finds; then nothing is out of step."""
    data = bulk(items[0]) if len(items) == 1 else b"*%d\r\n%b" % (len(items), b"".join(map(bulk, items)))
    made_keys = [str(number) for number in range(len(items))]
    found, missed, number, rest = {}, [], 0, b""
    cut %= len(data)
    for chunk in (data[:cut], data[cut:]):
        rest += chunk
        position, number = HOT.answers(rest, made_keys, number, 0, found, missed)
        assert position != OUT_OF_STEP
        rest = rest[position:]
    assert number == len(items) and not rest
    replies = dict(zip(made_keys, parsed([Get(key.encode()) for key in made_keys], data), strict=True))
    there = {key: reply for key, reply in replies.items() if isinstance(reply, Value) and not reply.stub}
    assert found == {key: (reply.flags, reply.data) for key, reply in there.items()}
    assert missed == [key for key in made_keys if key not in there]


NOISE = st.binary(max_size=40) | st.sampled_from([b"+OK\r\n", b":0\r\n", b":1\r\n", b":2\r\n", b":3\r\n", b"$-1\r\n"])
NOISE |= st.sampled_from(
    [b"-OOM\r\n", b"+OK\r\n+OK\r\n", b"$1\r\n5\r\n", b"$2\r\n5\r\n", b"$1\r\nx\r\n", b":1\r\n:1\r\n"]
)


@given(NOISE)
def test_any_answer(data):
    """What is taken for plain is what the parser says; whatever else comes is None, and left to the flow."""
    for look, asked, plain in (
        (HOT.stored, Store(b"k", 0, b""), {Answer.DONE: True}),
        (HOT.removed, Remove(b"k"), {Answer.DONE: True, Answer.MISS: False}),
        (HOT.touched, Touch(b"k", 0, 1), {Answer.DONE: True, Answer.MISS: False}),
    ):
        (reply,) = parsed([asked], data) or [None]
        assert look(data, 0) is (plain.get(reply) if isinstance(reply, Answer) else None)
    (reply,) = parsed([Arithmetic(b"k", 0, 1)], data) or [None]
    plain = int(reply.data) if isinstance(reply, Value) else False if reply is Answer.MISS else None
    assert HOT.counted(data, 0) == plain


@given(st.booleans(), st.none() | STORED)
def test_added(stored_now, stored):
    """An addition is plain where nothing was there and it is stored, and where a value was there and it is not."""
    data = bulk(stored) + (b"+OK\r\n" if stored_now else b"$-1\r\n")
    there, done = parsed([Get(b"k", peek=True), Store(b"k", 0, b"", add=True)], data)
    assert HOT.added(data, 0) is (stored is None and done is Answer.DONE)
    assert not HOT.added(data + b"x", 0) and not HOT.added(data[:-1], 0)
    found = HOT.found(data, 0)
    assert not found or is_item(there)
    for rest, plain in ((data[found[2] :], done is not Answer.DONE), (data[found[2] :] + b"x", False)) if found else ():
        assert HOT.kept(rest, 0) is plain


@pytest.mark.parametrize(
    ("reader", "plain"), [(HOT.stores_parser, b"+OK\r\n" * 3), (HOT.removes_parser, b":2\r\n")], ids=["SET", "UNLINK"]
)
def test_writes(reader, plain):
    """Many writes are through with the last byte of their answer, and not before; a byte more is not plain."""
    for cut in range(len(plain)):
        through = reader(3, 0)
        assert not through.feed(plain[:cut]) and through.feed(plain[cut:])
        assert through.complete and through.replies == [Answer.DONE] * 3
    with pytest.raises(ProtocolViolation):
        reader(3, 0).feed(plain + b":1\r\n")


@pytest.mark.parametrize(
    ("reader", "said"),
    [(HOT.stores_parser, b"+OK\r\n-OOM command not allowed\r\n"), (HOT.removes_parser, b"-NOPERM no\r\n")],
    ids=["SET", "UNLINK"],
)
def test_refused_writes(reader, said):
    """A node that has refused one of many, and said so, is through with them."""
    refusing = reader(2, 0)
    with pytest.raises(ProtocolViolation):
        refusing.feed(said)
    assert refusing.refused and refusing.tainted
