"""The short cut's bytes are those of the protocol, and what it makes of an answer is what the parser makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.commands import Answer, Arithmetic, Get, Remove, Store, Touch
from django_dcache.engines.ignite import engine
from django_dcache.engines.ignite.frames import octets
from django_dcache.engines.ignite.items import new_stub, pack
from django_dcache.engines.shortcut import OUT_OF_STEP
from django_dcache.errors import ProtocolViolation

IGNITE = engine("shop")
HOT = IGNITE.hot
KEYS = st.binary(min_size=1, max_size=250)
TTLS = st.none() | st.floats(0.001, 10**9) | st.integers(1, 10**15)
FLAGS = st.integers(0, 2**32 - 1)
NUMBER = 5
"""Of a question."""
ENDS = 2**40
UNIQUE_BYTES = 16
"""What is another one in each item: a random number, and when it ends."""
OBJECTS = st.one_of(
    st.builds(pack, FLAGS, st.binary(), st.just(ENDS)),
    st.builds(octets, st.binary(max_size=40) | st.builds(new_stub, st.just(ENDS))),
    st.sampled_from([b"\x65", b"\x03\x01\x00\x00\x00", b""]),
)
ERROR = b"\x01\x00\x00\x00\x09\x02\x00\x00\x00no"


def reply(number, body, flags=0):
    """As a server sends it."""
    content = number.to_bytes(8, "little") + flags.to_bytes(2, "little") + body
    return len(content).to_bytes(4, "little") + content


def parsed(commands, data):
    """The replies, or None where the parser is not through or finds something wrong."""
    parser = IGNITE.parser(commands, NUMBER, 0, 2**20)
    try:
        return parser.replies if parser.feed(data) and not parser.rest else None
    except ProtocolViolation:
        return None


def but_for_what_is_new(data, value):
    """A write without the number and the end of its item, which lie before the value and CR LF."""
    start = len(data) - len(value) - 2
    return data[: start - UNIQUE_BYTES], data[start:]


@given(KEYS, FLAGS, st.binary(), TTLS, st.integers(0, 2**64 - 1))
def test_questions(key, flags, data, ttl, delta):
    """Each question has the bytes that its flow sends first."""
    ends, size = HOT.expires(ttl), len(data)

    def asks(*commands):
        return IGNITE.encode(commands, NUMBER, 0.0)

    assert HOT.get((key, NUMBER)) == HOT.touch((key, ends, NUMBER)) == HOT.count((key, delta, NUMBER))
    assert HOT.get((key, NUMBER)) == asks(Get(key)) == asks(Touch(key, 0, ttl)) == asks(Arithmetic(key, 0, delta))
    assert HOT.remove(key, NUMBER) == asks(Remove(key))
    stored = HOT.store((key, size, flags, ends, NUMBER, data))
    assert but_for_what_is_new(stored, data) == but_for_what_is_new(asks(Store(key, 0, data, flags, ttl)), data)
    added = asks(Get(key, peek=True), Store(key, 0, data, flags, ttl, add=True))
    assert HOT.add((key, NUMBER, key, size, flags, ends, NUMBER + 1, data)) == added


@given(st.lists(KEYS, min_size=1, max_size=20, unique=True))
def test_questions_of_many(keys):
    """So have those of many keys."""
    assert HOT.questions(keys, NUMBER) == IGNITE.encode([Get(key) for key in keys], NUMBER, 0.0)


@given(OBJECTS | st.just(ERROR), st.integers(0, 1), st.booleans())
def test_a_value(body, strays, of_another):
    """What is found is what the parser finds; a stub is a miss, and anything else is left to the flow."""
    data = reply(NUMBER + of_another, body, body == ERROR) + b"\r" * strays
    replies, found = parsed([Get(b"k")], data), HOT.found(data, NUMBER)
    if found and data[found[2] :] == b"\r\n":
        assert replies and (replies[0].flags, replies[0].data) == (found[0], data[found[1] : found[2]])
    elif replies:
        (answer,) = replies
        assert HOT.missed(data, NUMBER) == (answer is Answer.MISS or getattr(answer, "stub", False))
    else:
        assert not HOT.missed(data, NUMBER)


@given(
    st.lists(OBJECTS, min_size=1, max_size=5).flatmap(lambda found: st.permutations(list(enumerate(found)))), st.data()
)
def test_answers(answers, cuts):
    """Answers in any order, in chunks cut anywhere, are what the parser makes of them."""
    data = b"".join(reply(NUMBER + place, body) for place, body in answers)
    keys = [f"k{n}" for n in range(len(answers))]
    replies = parsed([Get(key.encode()) for key in keys], data)
    cut, found, missed = cuts.draw(st.integers(0, len(data) - 1)), {}, []
    assert HOT.answers(data[:cut], keys, 0, NUMBER, found, missed) in ((0, 0), (OUT_OF_STEP, 0))
    position, number = HOT.answers(data, keys, 0, NUMBER, found, missed)
    if position == OUT_OF_STEP:
        return
    assert (position, number) == (len(data), len(keys)) and replies
    for key, answer in zip(keys, replies, strict=True):
        absent = answer is Answer.MISS or answer.stub
        assert key in missed if absent else found[key] == (answer.flags, answer.data)


@pytest.mark.parametrize(("body", "removed"), [(b"\x01", True), (b"\x00", False), (b"", None)])
def test_truths(body, removed):
    """What is removed is said in a byte; where nothing is there it is the flow that adds."""
    data = reply(NUMBER, body)
    assert HOT.removed(data, NUMBER) == removed and not HOT.added(data, NUMBER)
    assert HOT.stored(data, NUMBER) == (True if body == b"" else None)


def test_writes_that_are_told_all_at_once():
    """A batch is through when each write is answered; where one was refused, that is said when all are."""
    parts = [HOT.one_store((b"k%d" % n, 1, 0, HOT.expires(None), b"v")) for n in range(3)]
    written = HOT.stores(parts, NUMBER)  # Each item has a random number, which may hold any byte.
    assert all(b"k%d" % n in written for n in range(3))
    parser = HOT.stores_parser(3, NUMBER)
    assert [parser.feed(reply(NUMBER, b"")) for _ in range(3)] == [False, False, True] and len(parser.replies) == 3
    parser = HOT.stores_parser(2, NUMBER)
    assert not parser.feed(reply(NUMBER, ERROR, 1)) and not parser.refused
    with pytest.raises(ProtocolViolation, match="no"):
        parser.feed(reply(NUMBER, b""))
    assert parser.refused
    parser = HOT.removes_parser(2, NUMBER)
    assert parser.feed(reply(NUMBER, b"")) and len(parser.replies) == 2
