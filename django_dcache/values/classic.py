"""Values as the backend writes and reads them that a site comes from (OPTIONS["coexist"]).

On memcached the flags are those of `plain`; only pickle, and nothing compressed, signed or conditional. On Redis a
value has no flags: digits, or what a serializer made, perhaps compressed (django_redis/client/default.py, Django's
backends/redis.py).
"""

import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any

from ..errors import UnreadableValue
from . import compressors
from .compressors import ZLIB, ZSTD
from .plain import FOREIGN, INTEGER, LEAST, LONG, MOST, PICKLE, RAW, Decode, Encode, Load, encoder
from .serializers import find, library

MEMCACHED, REDIS = ("pymemcache", "pylibmc"), ("django-redis", "redis")
BACKENDS = (*MEMCACHED, *REDIS)
"""Clients that may be coexisted with, by engine."""
RINGS = {"pymemcache": ("rendezvous",), "pylibmc": ("modula", "ketama-unweighted", "libmemcached")}
"""How they place keys; the first is their default."""
_LEAST_ARRAY_FLAGS = 1 << 20
_ARRAY = b"\xdc"
_digits = re.compile(rb"-?\d+").fullmatch


def encoder_beside(options: Any) -> Encode:
    """How values are written while classic clients read them. Raises ConfigurationError."""
    if options.coexist in MEMCACHED:
        pickled = find("pickle", options.pickle_protocol)
        encode = encoder(pickled.dump, PICKLE)
        return _with_long_integers(encode) if options.coexist == "pylibmc" else encode
    dump = find(options.serializer, options.pickle_protocol).dump
    name = options.compress if options.coexist == "django-redis" else ""
    compress = _compress(name) if name else None

    def encode_string(made_key: str, value: Any) -> tuple[int, bytes]:
        if type(value) is int:
            return INTEGER if LEAST <= value <= MOST else RAW, b"%d" % value
        data = dump(value)
        if compress and len(data) >= options.compress_min_bytes and len(packed := compress(data)) < len(data):
            return RAW, packed
        return RAW, data

    return encode_string


def decoder_beside(options: Any, own: Decode) -> Decode:
    """Reads what the backend of before wrote, and what this one does. Raises ConfigurationError."""
    if options.coexist in MEMCACHED:
        return own  # What they write is written so here, too.
    load, most = find(options.serializer, options.pickle_protocol).load, options.max_value

    def decode(made_key: str, flags: int, data: bytes) -> Any:
        if flags >= _LEAST_ARRAY_FLAGS:  # Of other software, or a list by msgpack that looks like an item with flags.
            try:
                return _loaded(load, _whole(flags, data), most)
            except UnreadableValue:
                return own(made_key, flags, data)
        try:
            return own(made_key, flags, data)
        except UnreadableValue:
            return _loaded(load, data, most)

    return decode


def _whole(flags: int, data: bytes) -> bytes:
    return data if flags == FOREIGN else b"%b%b%b" % (_ARRAY, flags.to_bytes(4, "big"), data)


def _loaded(load: Load, data: bytes, most: int) -> Any:
    try:
        return int(data) if _digits(data) else load(_unpacked(data, most))
    except (Exception, SystemExit) as error:
        # Unpickling runs the class's own code: anything may come out of it.
        raise UnreadableValue(f"{type(error).__name__}: {error}") from error


def _unpacked(data: bytes, most: int) -> bytes:
    """What was compressed, by its first bytes; the same bytes if they only look so. Raises ConfigurationError where
    the library is not installed."""
    for magic, unpack in _UNPACK.items():
        if data.startswith(magic):
            try:
                return unpack(data, most)
            except (ValueError, EOFError, RuntimeError, zlib.error, lzma.LZMAError):
                return data
    return data


def _lz4_back(data: bytes, most: int) -> bytes:
    stream = library("lz4.frame", "lz4").LZ4FrameDecompressor()
    return _complete(stream.decompress(data, max_length=most), stream.eof)


def _gzip_back(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj(31)
    return _complete(stream.decompress(data, most), stream.eof)


def _lzma_back(data: bytes, most: int) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=4 * most)
    return _complete(stream.decompress(data, most), stream.eof)


def _complete(data: bytes, complete: bool) -> bytes:
    if not complete:
        raise ValueError("it is cut short, or would be longer than max_value")
    return data


_UNPACK: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"\x78": lambda data, most: compressors.find(ZLIB).decompress(data, most),
    b"\x28\xb5\x2f\xfd": lambda data, most: compressors.find(ZSTD).decompress(data, most),
    b"\x04\x22\x4d\x18": _lz4_back,
    b"\x1f\x8b": _gzip_back,
    b"\xfd7zXZ\0": _lzma_back,
}


def _compress(name: str) -> Callable[[bytes], bytes]:
    if name == "lz4":
        compress: Callable[[bytes], bytes] = library("lz4.frame", "lz4").compress
        return compress
    return compressors.find(compressors.NAMES[name]).compress


def _with_long_integers(encode: Encode) -> Encode:
    def encode_long(made_key: str, value: Any) -> tuple[int, bytes]:
        flags, data = encode(made_key, value)
        return (LONG if flags == INTEGER else flags), data

    return encode_long
