"""Compression: smaller where it pays, the same bytes back, and never more memory than a value may have."""

import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.conf import Options
from django_dcache.errors import ConfigurationError, UnreadableValue, ValueTooLarge
from django_dcache.values import codec_for, compressors
from support import extras

NAMES = extras.options(*compressors.NAMES)
MOST = 10**5


def codec(**options):
    """That of an alias with these options."""
    return codec_for(Options(**options), "default", lambda: ())


@pytest.mark.parametrize("name", NAMES)
@given(st.binary(max_size=3000) | st.text().map(lambda text: text * 50) | st.lists(st.integers(), max_size=300))
def test_round_trip(name, value):
    """Whatever goes in comes out, compressed or not."""
    mine = codec(compress=name, compress_min_bytes=10)
    assert mine.decode("key", *mine.encode("key", value)) == value


@pytest.mark.parametrize("name", NAMES)
def test_only_where_it_pays(name):
    """A value below the threshold, and one that would not become smaller, are stored as they are."""
    mine, plain = codec(compress=name, compress_min_bytes=1000), codec()
    short, noise = b"a" * 999, Random(0).randbytes(2400)
    assert mine.encode("key", short) == plain.encode("key", short)
    assert mine.encode("key", noise) == plain.encode("key", noise)
    flags, data = mine.encode("key", b"a" * 1000)
    assert flags == compressors.NAMES[name] and len(data) < 100


@pytest.mark.parametrize("name", NAMES)
def test_every_process_reads_it(name):
    """An alias that compresses nothing reads what others compressed: the option can be turned on and off."""
    assert codec().decode("key", *codec(compress=name).encode("key", "a" * 5000)) == "a" * 5000


def test_zlib_as_others_write_it():
    """What pylibmc and pymemcache compressed is read, and what we compress with zlib has their flags."""
    assert codec().decode("key", 8 | 16, zlib.compress("é".encode())) == "é"
    flags, data = codec(compress="zlib").encode("key", "é" * 5000)
    assert flags == 8 | 16 and zlib.decompress(data).decode() == "é" * 5000


def test_numbers_are_not_compressed():
    """A number stays digits that a node can count with, however low the threshold."""
    assert codec(compress="zlib", compress_min_bytes=1).encode("key", 10**18) == (2, b"%d" % 10**18)


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb(name):
    """A few bytes that would unpack to more than a value may have are unreadable, and take no such memory."""
    bomb = codec(compress=name).encode("key", b"\0" * 2**25)
    mine = codec(max_value=MOST)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableValue):
            mine.decode("key", *bomb)
        assert tracemalloc.get_traced_memory()[1] < 10 * MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_as_long_as_a_value_may_be(name):
    """A value of just the most bytes comes back; one more is not stored."""
    mine = codec(compress=name, max_value=MOST)
    assert mine.decode("key", *mine.encode("key", b"a" * MOST)) == b"a" * MOST
    with pytest.raises(ValueTooLarge, match="100,001 bytes, and max_value is 100,000"):
        mine.encode("key", b"a" * (MOST + 1))


@pytest.mark.parametrize("name", NAMES)
def test_cut_or_followed_by_more(name):
    """Compressed bytes that are cut anywhere, or followed by others, are unreadable."""
    flags, data = codec(compress=name).encode("key", "every word of this sentence" * 100)
    for broken in (*(data[:end] for end in range(len(data))), data + b"x"):
        with pytest.raises(UnreadableValue):
            codec().decode("key", flags, broken)


def test_an_unknown_compressor():
    """What only a newer release can unpack is unreadable here."""
    with pytest.raises(UnreadableValue, match="no compressor"):
        codec().decode("key", 9 << 16, b"x")
    with pytest.raises(ConfigurationError, match="zlib, zstd, lz4"):
        Options(compress="brotli")
