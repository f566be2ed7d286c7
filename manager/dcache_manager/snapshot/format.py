"""The bytes of a snapshot. Pure: no file, no socket.

    PREAMBLE   magic, format version, length of the header
    header     JSON: whose it is, and when it began
    frame …    FRAME (b"F", items, bytes, packed bytes, CRC-32 of the packed bytes), then those, by zlib
    footer     FOOTER (b"E", frames, items), then the BLAKE2b digest of everything before it

A frame holds its items in columns, which Python packs and unpacks as a whole:

    flags, deadlines, sizes    4 bytes for each item, little-endian; deadlines in Unix seconds, 0 for never
    names                      each with a newline behind it
    data                       one after the other

A snapshot is hostile input: whatever it says is held against a limit before anything is made of it.
"""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from struct import Struct
from typing import NamedTuple

from django_dcache.errors import DCacheError
from django_dcache.model.keys import MAX_NAME_BYTES, RESERVED

VERSION = 1
MAGIC = b"\x89dcache\r\n"
"""The line end shows a transfer that took the file for text."""
PREAMBLE = Struct("<9sHI")
FRAME = Struct("<cIIII")
FOOTER = Struct("<cQQ")
DIGEST_BYTES = 32
MAX_HEADER_BYTES = 4096
MAX_ITEMS = 8192
"""In a frame."""
MAX_VALUE_BYTES = 32 * 2**20
MAX_FRAME_BYTES = 64 * 2**20
"""Of a frame when it is unpacked."""

_name = re.compile(
    rb"(?!%b)[^\x00-\x20\x7f\xff][^\x00-\x20\x7f]{0,%d}|\xff#[0-9a-f]{96}" % (RESERVED, MAX_NAME_BYTES - 1)
)
legal = _name.fullmatch
"""Whether a name may be sent to a node: nothing that a node would take for a command, for another generation, or for
the fleet's own."""


class BadSnapshot(DCacheError):
    """This snapshot can't be used; nothing was sent to any node."""


class ChangedSnapshot(DCacheError):
    """The snapshot was changed while it was being loaded; what it held up to there was stored."""


class Records(NamedTuple):
    """The items of a frame, in columns."""

    names: Sequence[bytes]
    flags: Sequence[int]
    deadlines: Sequence[int]
    """Unix seconds; 0: never expires."""
    data: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Header:
    fleet: str
    alias: str
    began: float
    """Unix time at which the first key was looked at."""

    def encode(self) -> bytes:
        document = json.dumps(asdict(self)).encode()
        return PREAMBLE.pack(MAGIC, VERSION, len(document)) + document

    @classmethod
    def decode(cls, document: bytes) -> "Header":
        """Raises BadSnapshot."""
        try:
            found = cls(**json.loads(document))
        except (ValueError, TypeError, RecursionError):
            raise BadSnapshot("its header can't be read") from None
        if not (
            type(found.fleet) is type(found.alias) is str and type(found.began) is float and 0 <= found.began < 2**33
        ):
            raise BadSnapshot("its header can't be read")
        return found


def header_bytes(preamble: bytes) -> int:
    """How many bytes of header follow the preamble. Raises BadSnapshot, also for a format of another release."""
    if len(preamble) < PREAMBLE.size or not preamble.startswith(MAGIC):
        raise BadSnapshot("it is not a snapshot, or a transfer changed its bytes")
    _, version, size = PREAMBLE.unpack(preamble)
    if version != VERSION:
        raise BadSnapshot(f"it has format {version}, and this release reads format {VERSION}")
    if size > MAX_HEADER_BYTES:
        raise BadSnapshot("its header is too long")
    return int(size)


def encode_frame(records: Records) -> bytes:
    count = len(records.names)
    raw = b"".join(
        (
            Struct(f"<{3 * count}I").pack(*records.flags, *records.deadlines, *map(len, records.data)),
            b"".join([name + b"\n" for name in records.names]),
            *records.data,
        )
    )
    packed = zlib.compress(raw, 1)
    return FRAME.pack(b"F", count, len(raw), len(packed), zlib.crc32(packed)) + packed


def decode_frame(count: int, size: int, packed: bytes, checksum: int) -> Records:
    """The items of a frame. Raises BadSnapshot for whatever could not have been written by `encode_frame`."""
    if zlib.crc32(packed) != checksum:
        raise BadSnapshot("a checksum is wrong: it was altered or damaged")
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(packed, size + 1)
    except zlib.error:
        raise BadSnapshot("a frame can't be unpacked") from None
    columns = Struct(f"<{3 * count}I")
    if len(raw) != size or not stream.eof or stream.unused_data or size < columns.size:
        raise BadSnapshot("a frame does not have the size it states")
    numbers = columns.unpack_from(raw)
    sizes = numbers[2 * count :]
    start = size - sum(sizes)
    if start < columns.size or max(sizes, default=0) > MAX_VALUE_BYTES:
        raise BadSnapshot("a value does not have the size it states")
    *names, rest = raw[columns.size : start].split(b"\n")
    if rest or len(names) != count or not all(map(legal, names)):
        raise BadSnapshot("it holds a key that must not be sent to a node")
    data = [raw[begin:end] for begin, end in pairwise(accumulate(sizes, initial=start))]
    return Records(names, numbers[:count], numbers[count : 2 * count], data)
