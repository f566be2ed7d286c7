"""Values that say which key, version and writer they are of, and whether they are whole."""

from random import Random
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

_head = Struct("<IQHI")
_sum = Struct("<I")


class Tag(NamedTuple):
    key: int
    version: int
    writer: int
    operation: int


def make(tag: Tag, chance: Random) -> Any:
    """A value of some type and size: bytes, text, or something to be pickled."""
    size = int(10 ** (1 + 3.3 * chance.random() ** 3))
    body = _head.pack(*tag) + chance.randbytes(size)
    sealed = body + _sum.pack(crc32(body))
    form = chance.random()
    return sealed if form < 0.5 else sealed.hex() if form < 0.75 else {"sealed": sealed}


def read(value: Any) -> Tag | None:
    """The tag of a value; None if it is none that was ever made."""
    try:
        sealed = (
            value["sealed"] if isinstance(value, dict) else bytes.fromhex(value) if isinstance(value, str) else value
        )
        body, (check,) = sealed[: -_sum.size], _sum.unpack(sealed[-_sum.size :])
        return Tag(*_head.unpack_from(body)) if crc32(body) == check else None
    except Exception:  # anything at all may come out of a broken cache
        return None
