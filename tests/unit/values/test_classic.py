"""Values as the backends write them that sites come from (OPTIONS["coexist"])."""

import gzip
import json
import lzma
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.conf import Options
from django_dcache.engines.redis.items import pack, unpack
from django_dcache.errors import ConfigurationError, UnreadableValue
from django_dcache.values import codec_for, compressors
from django_dcache.values.chunks import InChunks
from django_dcache.values.conditions import Conditional
from django_dcache.values.plain import INTEGER, LONG
from support import extras

VALUE = {"text": "x" * 2000, "list": [1, 2, 3]}
DJANGO_JSON = "django_dcache.django_json.DjangoJSON"


def codec(coexists=True, **options):
    """That of an alias beside classic clients, or after them."""
    chosen = Options(**{"coexist": "django-redis", "secret": "s"} | options)
    return codec_for(chosen, "default", lambda: chosen.secrets, lambda: coexists)


def stored(mine, value):
    """The bytes that a classic client finds on the server."""
    return pack(*mine.encode("key", value))


@pytest.mark.parametrize("name", extras.options("zstd", "lz4"))
def test_compressors(name):
    """What is compressed here is a plain frame, which any other software of the format reads."""
    data = stored(codec(compress=name), VALUE)
    assert data.startswith({"zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}[name])
    assert codec(False).decode("key", *unpack(data)) == VALUE


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress, lzma.compress, bytes])
@pytest.mark.parametrize(("serializer", "dumps"), [("pickle", pickle.dumps), (DJANGO_JSON, json.dumps)])
@pytest.mark.parametrize("coexists", [True, False])
def test_what_others_compressed(compress, serializer, dumps, coexists):
    """Each compressor of the standard library is known by its first bytes, whatever the serializer was."""
    made = dumps(VALUE)
    data = compress(made if isinstance(made, bytes) else made.encode())
    assert codec(coexists, serializer=serializer).decode("key", *unpack(data)) == VALUE


@pytest.mark.parametrize("bomb", [zlib.compress, gzip.compress, lzma.compress])
def test_bombs(bomb):
    """What would be larger than max_value is not unpacked."""
    data = bomb(pickle.dumps("x" * 10_000_000))
    with pytest.raises(UnreadableValue):
        codec(max_value=100_000).decode("key", *unpack(data))


@pytest.mark.parametrize("backend", ["django-redis", "redis"])
def test_plain_bytes(backend):
    """Without a compressor a value lies as the serializer made it, and a number as digits."""
    mine = codec(coexist=backend, pickle_protocol=4)
    assert stored(mine, VALUE) == pickle.dumps(VALUE, 4)
    assert [stored(mine, number) for number in (0, -5, 2**70)] == [b"0", b"-5", b"%d" % 2**70]
    assert stored(mine, True) == pickle.dumps(True, 4)
    assert mine.decode("key", *unpack(b"%d" % 2**70)) == 2**70


def test_flags_of_memcached():
    """Numbers have the flags of the client beside us; nothing is compressed or signed for either."""
    beside = {name: codec(coexist=name, compress="zlib", sign_values=True) for name in ("pymemcache", "pylibmc")}
    assert {name: mine.encode("key", 7) for name, mine in beside.items()} == {
        "pymemcache": (INTEGER, b"7"),
        "pylibmc": (LONG, b"7"),
    }
    for mine in beside.values():
        assert mine.encode("key", VALUE) == (1, pickle.dumps(VALUE, 5)) and mine.decode("key", 4, b"7") == 7


def test_signed_afterwards():
    """Afterwards values are signed and compressed as the options say, and what was there is read."""
    before, after = codec(sign_values=True, compress="zlib"), codec(False, sign_values=True, compress="zlib")
    assert after.encode("key", VALUE)[0] & 32 and after.encode("key", VALUE)[0] & compressors.ANY
    for writer in (before, after):
        for reader in (before, after):
            assert reader.decode("key", *unpack(stored(writer, VALUE))) == VALUE


@given(st.binary() | st.binary().map(b"\xdc".__add__) | st.binary().map(b"\x78".__add__))
@pytest.mark.parametrize("serializer", extras.options("pickle", "msgpack"))
def test_hostile_bytes(serializer, data):
    """Whatever lies there is a value, or one that can't be read: no other exception comes out of it."""
    try:
        codec(serializer=serializer, max_value=10_000).decode("key", *unpack(data))
    except (UnreadableValue, InChunks, Conditional):
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"coexist": "memcache"},
        {"replicas": 2},
        {"hash_tags": True},
        {"coexist": "pylibmc", "ring": "rendezvous"},
        {"coexist": "django-redis", "ring": "modula"},
        {"serializer": "msgpack", "prefixes": ["book:"]},
    ],
)
def test_what_does_not_go_together(options):
    """Options that classic clients could not follow are refused."""
    with pytest.raises(ConfigurationError):
        codec(**options)
