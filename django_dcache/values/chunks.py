"""A value that is too large for one item: it lies in chunks, and under its key is an index of them.

Chunks never change: each write makes an identity of its own, which is in the name of every chunk. So an index and the
chunks of another write can't be mixed, and the moment in which the index is stored is the moment in which the value is
(docs/adr/0021).
"""

from collections.abc import Iterator
from struct import Struct, error
from typing import NamedTuple

from ..errors import UnreadableValue
from ..model.keys import chunk_names

IN_CHUNKS = 64
"""Among the flags of an index: its other flags are those of the whole value."""
IDENTITY_BYTES = 12
LEAST_BYTES = 1000
"""Of a chunk: an index of smaller ones would make its reader ask for very many."""
ROUND_BYTES = 4 * 2**20
"""Of chunks that are carried together, in the time that one operation has."""

_index = Struct(">12sIQ")
INDEX_BYTES = _index.size


class InChunks(Exception):
    """These bytes are an index, and the value lies in chunks."""


class Chunk(NamedTuple):
    name: bytes
    begin: int
    end: int


class Index(NamedTuple):
    """What lies under the key."""

    identity: bytes
    chunk_bytes: int
    """The length of each chunk but the last."""
    length: int
    """Of all chunks together."""

    def encode(self) -> bytes:
        return _index.pack(*self)

    @classmethod
    def decode(cls, data: bytes, most: int) -> "Index":
        """Raises UnreadableValue for what is no index, or one of more than `most` bytes."""
        try:
            index = cls(*_index.unpack(data))
        except error:
            raise UnreadableValue(f"{len(data)} bytes are no index of chunks") from None
        if not LEAST_BYTES <= index.chunk_bytes < index.length <= most:
            raise UnreadableValue(f"an index of {index.length:,} bytes in chunks of {index.chunk_bytes:,}")
        return index

    def rounds(self, place: bytes) -> Iterator[list[Chunk]]:
        """The chunks, which lie where a key with the digest `place` does, as many at a time as are carried together."""
        name, size = chunk_names(place, self.identity), self.chunk_bytes
        begins = range(0, self.length, size)
        together = max(1, ROUND_BYTES // size)
        for first in range(0, len(begins), together):
            yield [
                Chunk(name(number), begin, min(begin + size, self.length))
                for number, begin in enumerate(begins[first : first + together], first)
            ]
