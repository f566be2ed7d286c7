"""How an item lies in Redis: (flags, bytes) as one string, whose first byte tells its kind.

    digits                      a whole number of 64 bits, so that the server can count with it
    80 …                        a plain pickle
    DC <flags, 4 bytes> …       anything else
    DD <16 random bytes>        a stub: no value, but a lease that a client holds

Digits and plain pickles are what Django's RedisCache and django-redis write: theirs are read as what they are, and so
are pickles that django-redis has compressed with zlib or zstd, and JSON. `DC` and `DD` begin none of these.
"""

import re
from hashlib import sha1
from os import urandom

from ...values.compressors import ZLIB, ZSTD
from ...values.plain import FOREIGN, INTEGER, PICKLE, RAW
from ...values.serializers import JSON

ITEM, STUB = b"\xdc", b"\xdd"
STUB_BYTES = 17
OVERHEAD_BYTES = 5

_digits = re.compile(rb"-?\d{1,20}").fullmatch
_MAGIC = {b"\x80": PICKLE, b"\x78": PICKLE | ZLIB, b"\x28\xb5\x2f\xfd": PICKLE | ZSTD}
_JSON = frozenset(b'{["tfn')


def pack(flags: int, data: bytes) -> bytes:
    """The string of an item."""
    if flags == INTEGER and _digits(data) or flags == PICKLE and data[:1] == b"\x80":
        return data
    if flags == RAW and not is_stub(data):
        return data
    return b"\xdc%b%b" % (flags.to_bytes(4, "big"), data)


def unpack(stored: bytes) -> tuple[int, bytes]:
    """(flags, bytes) of the string of an item that is no stub."""
    first = stored[:1]
    if first == ITEM and len(stored) >= OVERHEAD_BYTES:
        return int.from_bytes(stored[1:5], "big"), stored[5:]
    if first == b"\x80":
        return PICKLE, stored
    if _digits(stored):
        return INTEGER, stored
    for magic, flags in _MAGIC.items():
        if stored.startswith(magic):
            return flags, stored
    return (JSON if stored and stored[0] in _JSON else FOREIGN), stored


def is_stub(stored: bytes) -> bool:
    return stored[:1] == STUB and len(stored) == STUB_BYTES


def new_stub() -> bytes:
    return STUB + urandom(STUB_BYTES - 1)


def token(stored: bytes) -> int:
    """What tells this very item from another one. It is made from its bytes, as the server's scripts do: two values
    that are equal are one item, and a stub is equal to no other."""
    return int.from_bytes(sha1(stored, usedforsecurity=False).digest()[:8], "big")


def token_digits(token: int) -> bytes:
    """A token as the scripts compare it."""
    return b"%016x" % token
