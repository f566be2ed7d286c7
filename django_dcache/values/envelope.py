"""What lies around a value that is compressed or signed; byte by byte in docs/reference/envelope.md.

Written in the order serialize, compress, sign, and read in the reverse: nothing is unpacked before it is proven.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ..errors import UnreadableValue, ValueTooLarge
from . import compressors
from .chunks import IN_CHUNKS, INDEX_BYTES, InChunks
from .compressors import Compressor
from .plain import INTEGER, Decode, Encode, Load
from .signature import TAG_BYTES, Signature

SIGNED = 32


def compressed(encode: Encode, compressor: Compressor, least: int, most: int) -> Encode:
    """`encode`, and compressed where that is worth it: from `least` bytes on, and if it makes them fewer. What has more
    than `most` bytes before that is refused."""
    bit, compress = compressor.flags, compressor.compress

    def smaller(made_key: str, value: Any) -> tuple[int, bytes]:
        flags, data = encode(made_key, value)
        size = len(data)
        if size > most:
            raise ValueTooLarge(f"{size:,} bytes, and max_value is {most:,}")
        if flags != INTEGER and size >= least and len(packed := compress(data)) < size:
            return flags | bit, packed
        return flags, data

    return smaller


def signed(encode: Encode, signature: Signature) -> Encode:
    """`encode`, and signed: all but numbers, which the node has to be able to count with."""
    tag = signature.tag

    def proven(made_key: str, value: Any) -> tuple[int, bytes]:
        flags, data = encode(made_key, value)
        if flags == INTEGER:
            return flags, data
        flags |= SIGNED
        return flags, tag(made_key, flags, data) + data

    return proven


def limited(decode: Decode, most: int) -> Decode:
    """`decode`, for values of at most `most` bytes."""

    def smaller(made_key: str, flags: int, data: bytes) -> Any:
        if len(data) > most + (TAG_BYTES if flags & SIGNED else 0):
            raise UnreadableValue(f"{len(data):,} bytes, and max_value is {most:,}")
        return decode(made_key, flags, data)

    return smaller


def opener(loads: Mapping[int, Load], signature: Callable[[], Signature], unsigned: bool, most: int) -> Decode:
    """Reads whatever has an envelope, or flags that are unknown. `unsigned`: also what is not signed."""
    unpacking = cache(compressors.find)

    def decode(made_key: str, flags: int, data: bytes) -> Any:
        if flags & IN_CHUNKS and len(data) == INDEX_BYTES:
            raise InChunks
        try:
            kind = flags & ~SIGNED
            if flags & SIGNED:
                data = signature().body(made_key, flags, data)
            elif not unsigned:
                raise UnreadableValue(f"it is not signed (flags {flags})")
            if packed := kind & compressors.ANY:
                data = unpacking(packed).decompress(data, most)
                kind &= ~compressors.ANY
            load = loads.get(kind)
            if load is None:
                raise UnreadableValue(f"no serializer that may be read here has the flags {flags}")
            return load(data)
        except UnreadableValue:
            raise
        except (Exception, SystemExit) as error:
            raise UnreadableValue(f"{type(error).__name__}: {error}") from error

    return decode
