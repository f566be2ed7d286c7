"""What lies around a value that is compressed, conditional or signed; byte by byte in docs/reference/envelope.md.

Written in the order serialize, compress, put conditions before it, sign, and read in the reverse: nothing is unpacked
before it is proven.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from ..errors import UnreadableValue, ValueTooLarge
from . import compressors
from .chunks import IN_CHUNKS, INDEX_BYTES, InChunks
from .compressors import Compressor
from .conditions import CONDITIONAL, Conditional, Conditions, split
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


def conditional(encode: Encode) -> Encode:
    """`encode`, for a value and its conditions."""

    def head(made_key: str, value: tuple[Any, Conditions]) -> tuple[int, bytes]:
        inner, conditions = value
        flags, data = encode(made_key, inner)
        return flags | CONDITIONAL, conditions.encode() + data

    return head


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

    def proven(made_key: str, flags: int, data: bytes) -> tuple[int, Conditions | None, bytes]:
        kind, conditions = flags & ~SIGNED, None
        if flags & SIGNED:
            data = signature().body(made_key, flags, data)
        elif not unsigned:
            raise UnreadableValue(f"it is not signed (flags {flags})")
        if kind & CONDITIONAL:
            conditions, data = split(data)
        return kind & ~CONDITIONAL, conditions, data

    def unpacked(kind: int, data: bytes) -> Any:
        if packed := kind & compressors.ANY:
            data = unpacking(packed).decompress(data, most)
            kind &= ~compressors.ANY
        load = loads.get(kind)
        if load is None:
            raise UnreadableValue(f"no serializer that may be read here has the flags {kind}")
        return load(data)

    def decode(made_key: str, flags: int, data: bytes) -> Any:
        if flags & IN_CHUNKS and len(data) == INDEX_BYTES:
            raise InChunks
        kind, conditions, data = _certain(proven, made_key, flags, data)
        if conditions is not None:
            raise Conditional(conditions, partial(_certain, unpacked, kind, data))
        return _certain(unpacked, kind, data)

    return decode


def _certain(step: Callable[..., Any], *arguments: Any) -> Any:
    """What `step` returns. Raises UnreadableValue for whatever hostile bytes may make of it."""
    try:
        return step(*arguments)
    except UnreadableValue:
        raise
    except (Exception, SystemExit) as error:
        raise UnreadableValue(f"{type(error).__name__}: {error}") from error
