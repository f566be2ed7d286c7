"""The short cut's bytes are those of the protocol, and what it makes of an answer is what the parser makes of it."""

from hypothesis import given
from hypothesis import strategies as st

from django_dcache.commands import Answer, Get, Store, is_item
from django_dcache.engines.memcached.hot import HOT
from django_dcache.engines.memcached.protocol import ReplyParser, encode

FIRST = 5
"""Of the opaque numbers."""
DATA = st.binary(max_size=20)
FLAGS = st.integers(0, 2**29)


def added(name, data, flags, ttl):
    """As the flow asks for it where there is one copy."""
    return [Get(name, peek=True), Store(name, 0, data, flags, ttl, add=True)]


@given(st.binary(min_size=1, max_size=9), FLAGS, DATA, st.none() | st.integers(1, 99))
def test_question(key, flags, data, ttl):
    """To add has the bytes of the commands that its flow sends first."""
    asked = key, FIRST, key, len(data), flags, HOT.expires(ttl), FIRST + 1, data
    assert HOT.add(asked) == encode(added(key, data, flags, ttl), FIRST, 0)


@given(
    st.none() | DATA, FLAGS, st.sampled_from([b"HD", b"NS", b"NF"]), st.integers(0, 1), st.sampled_from([b"", b" Z"])
)
def test_answer(there, flags, said, late, stub):
    """An addition is plain where nothing was there and it is stored, and where a value was there and it is not."""
    first = FIRST - late
    seen = (
        b"EN O%d\r\n" % first
        if there is None
        else b"VA %d f%d O%d%b\r\n%b\r\n" % (len(there), flags, first, stub, there)
    )
    data = seen + b"%b O%d\r\n" % (said, first + 1)
    assert HOT.added(data, FIRST) is (there is None and said == b"HD" and not late)
    assert not HOT.added(data + b"x", FIRST) and not HOT.added(data[:-1], FIRST)
    found = HOT.found(data, FIRST)
    if found:
        parser = ReplyParser(added(b"k", b"", 0, None), FIRST)
        assert parser.feed(data) and is_item(parser.replies[0])
        rest = data[found[2] :]
        assert HOT.kept(rest, FIRST) is (parser.replies[1] is Answer.NOT_STORED)
        assert not HOT.kept(rest + b"x", FIRST) and not HOT.kept(rest[:-1], FIRST)
