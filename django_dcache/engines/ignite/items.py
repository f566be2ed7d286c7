"""How an item lies in Ignite: as a byte array.

    DC <flags, 4> <unique, 8> <ends, 8> … CR LF     an item; `ends` in milliseconds of Unix time, 0: never
    DD <unique, 8> <ends, 8>                        a stub: no value, but a lease that a client holds

`unique` is random, and new with each write: what is equal to what was seen is that very item, so that a server's
compare-and-set is one by identity. It tells stubs from items, too. The TTL is the server's business; no request asks
for it, so `ends` says by the writer's clock what is left of it. The last two bytes say that a value is whole.
"""

from os import urandom
from struct import Struct
from typing import NamedTuple

from .frames import octets

ITEM, STUB = 0xDC, 0xDD
END = b"\r\n"
_head, _stub = Struct(">BIQQ"), Struct(">BQQ")
HEAD_BYTES, STUB_BYTES = _head.size, _stub.size
OVERHEAD_BYTES = HEAD_BYTES + len(END)
head, unpack_head = _head.pack, _head.unpack_from


class Item(NamedTuple):
    """What is stored under a key."""

    raw: bytes
    unique: int
    ends: int
    flags: int = 0
    data: bytes = b""
    stub: bool = False

    def seconds_left(self, now: float) -> float | None:
        """None: for ever. Never 0, which would mean the same: it is there, whatever this clock says."""
        return max(0.001, self.ends / 1000 - now) if self.ends else None


def unique() -> int:
    """Even of an item, odd of a stub; it fits into 63 bits."""
    return int.from_bytes(urandom(8), "big") >> 2 << 1


def pack(flags: int, data: bytes, ends: int, number: int | None = None) -> bytes:
    """An item, as a request carries it. `number`: its `unique`, if it is one that is there already."""
    return octets(head(ITEM, flags, unique() if number is None else number, ends) + data + END)


def new_stub(ends: int) -> bytes:
    """A stub, as it is stored."""
    return _stub.pack(STUB, unique() | 1, ends)


def unpack(stored: bytes) -> Item | None:
    """None where other software has written it."""
    if len(stored) == STUB_BYTES and stored[0] == STUB:
        _, number, ends = _stub.unpack(stored)
        return Item(stored, number, ends, stub=True)
    if len(stored) >= OVERHEAD_BYTES and stored[0] == ITEM and stored.endswith(END):
        _, flags, number, ends = unpack_head(stored)
        return Item(stored, number, ends, flags, stored[HEAD_BYTES:-2])
    return None
