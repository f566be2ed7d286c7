"""How items lie in Redis."""

import json
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.conf import Options
from django_dcache.engines.redis.items import (
    is_stub,
    new_stub,
    pack,
    token,
    token_digits,
    unpack,
)
from django_dcache.values import codec_for
from django_dcache.values.plain import BYTES, FOREIGN, INTEGER, PICKLE, RAW, TEXT

FLAGS = st.sampled_from([BYTES, PICKLE, INTEGER, TEXT, 2**32 - 1]) | st.integers(0, 2**32 - 1).filter(RAW.__ne__)


@given(FLAGS, st.binary() | st.integers().map(lambda n: b"%d" % n) | st.builds(pickle.dumps, st.text()))
def test_way_there_and_back(flags, data):
    """Flags and bytes come back, whatever they are, and none of them is taken for a stub."""
    assert unpack(pack(flags, data)) == (flags, data)
    assert not is_stub(pack(flags, data))


@given(st.binary())
def test_raw(data):
    """What is stored for other software lies as it is, unless it looked like a stub."""
    stub = len(data) == 17 and data[:1] == b"\xdd"
    assert (pack(RAW, data) == data) is not stub


def test_plain_forms():
    """Whole numbers lie as digits, so that the server counts with them, and pickles as other backends store them."""
    assert pack(INTEGER, b"-5") == b"-5"
    assert pack(PICKLE, pickle.dumps([1])) == pickle.dumps([1])


@pytest.mark.parametrize("value", [7, -7, 2**64, "text", b"bytes", 1.5, True, None, {"a": [1]}])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("packed", [False, True])
def test_what_others_wrote(value, protocol, packed):
    """What django-redis and Django's RedisCache have stored is read as the value that it is."""
    stored = b"%d" % value if type(value) is int else pickle.dumps(value, protocol)
    stored = zlib.compress(stored) if packed and type(value) is not int else stored
    codec = codec_for(Options(secret="s"), "fleet", lambda: (b"s",))
    found = codec.decode("key", *unpack(stored))
    assert found == value and type(found) is type(value)


def test_json_and_strangers():
    """JSON is known by its first byte, and read where the alias reads JSON; anything else has flags that nobody has."""
    codec = codec_for(Options(read_serializers=("json",), secret="s"), "fleet", lambda: (b"s",))
    assert codec.decode("key", *unpack(json.dumps({"a": 1}).encode())) == {"a": 1}
    assert unpack(b"\x04\x22M\x18 lz4") == (FOREIGN, b"\x04\x22M\x18 lz4")
    assert unpack(b"") == (FOREIGN, b"")
    assert not codec.readable("key", FOREIGN, b"")


def test_stubs():
    """No two stubs are the same item; a stub is told by its head."""
    assert is_stub(new_stub()) and token(new_stub()) != token(new_stub())
    assert token_digits(token(b"")) == b"da39a3ee5e6b4b0d"
