"""From Django's made key to the bytes a node sees, and back.

made key  ── name() ──▶  name (≤ 240 bytes)  ── wire_key(generation) ──▶  wire key (≤ 250 bytes)

The *name* is what is placed and stored; the *wire key* adds the generation of the slot on one node. None of the marks
below can be spelled by a user: a made key is UTF-8, and the byte 0xFF never occurs in UTF-8.

    FF <generation> ; <name>        a name in a slot that was bumped
    FF ~ <number> ; <made key>      the name of a key below a prefix: each 512th bump changes it (docs/adr/0028), but
                                    not where it is placed
    FF # <32 hex> <64 hex>          the name of a key too long to leave room for a generation: md5 (its place on the
                                    ring, so that a mover needs nothing else) and SHA-256 (its identity)
    FF # <32 hex> <16 zeros> <48 hex>   the name of a chunk of a large value, placed with its key (docs/adr/0021)
"""

import re
from collections.abc import Callable, Collection
from hashlib import md5, sha256
from struct import Struct
from typing import NamedTuple

from ..errors import InvalidKey

MAX_KEY_BYTES = 250
MAX_NAME_BYTES = 240
RESERVED = b"_dc:"
SLOTS = 256

_legal = re.compile(rb"[^\x00-\x20\x7f]{1,250}").fullmatch
is_own_name = re.compile(rb"(?!%b)[^\x00-\x20\x7f]{1,%d}" % (RESERVED, MAX_NAME_BYTES)).fullmatch
"""Whether an encoded made key is its own name: legal, and short enough. The quick look of nearly all operations."""
_mark = b"\xff"
_zeros = b"0" * 16
_long_name = re.compile(rb"\xff#([0-9a-f]{32})[0-9a-f]{64}").fullmatch
_stored = re.compile(
    rb"(?:\xff([1-9]\d{0,7});)?((?:\xff~[1-9]\d*;)?[^\x00-\x20\x7f\xff]{1,%d}|\xff#[0-9a-f]{96})" % MAX_NAME_BYTES
).fullmatch
_below = re.compile(rb"\xff~\d+;").match
point_and_slot = Struct("<IB").unpack_from


class Position(NamedTuple):
    """Where a name lives: `point` on the ring (32 bits) and `slot` of its nodes (0 to 255)."""

    point: int
    slot: int


def name(made_key: str, renamed: int = 0, hash_tags: bool = False) -> bytes:
    """The name of `made_key`, after it was changed so often. With `hash_tags`, a long one is placed by its tag.

    Raises InvalidKey for what a node would refuse, or split into other commands.
    """
    encoded = classic_name(made_key)
    marked = b"\xff~%d;%b" % (renamed, encoded) if renamed else encoded
    if len(marked) > MAX_NAME_BYTES:
        return b"\xff#%b%b" % (digest(encoded, hash_tags).hex().encode(), sha256(marked).hexdigest().encode())
    return marked


def classic_name(made_key: str) -> bytes:
    """What `made_key` is to a classic client: just its bytes. Raises InvalidKey."""
    try:
        encoded = made_key.encode()
    except UnicodeEncodeError:
        raise InvalidKey(f"{made_key!r} can't be encoded as UTF-8") from None
    if not _legal(encoded):
        raise InvalidKey(_complaint(made_key, encoded))
    if encoded.startswith(RESERVED):
        raise InvalidKey(f"{made_key!r} begins with {RESERVED.decode()!r}, which holds the fleet state")
    return encoded


def plainly_legal(made_keys: Collection[str]) -> bool:
    """Whether all of them are legal, by one look at all at once. False: some may not be."""
    everything = "".join(made_keys)
    if not (everything.isascii() and everything.isprintable()) or " " in everything or RESERVED.decode() in everything:
        return False
    return all(made_keys) and len(max(made_keys, key=len)) <= MAX_NAME_BYTES


def _complaint(made_key: str, encoded: bytes) -> str:
    if not encoded:
        return "the empty key"
    if len(encoded) > MAX_KEY_BYTES:
        return f"{made_key!r} has {len(encoded)} bytes, the limit is {MAX_KEY_BYTES}"
    return f"{made_key!r} contains a space or a control character"


def chunk_names(place: bytes, identity: bytes) -> Callable[[int], bytes]:
    """By their numbers, the names of the chunks of a large value, which lie where a key with this digest does.
    `identity`: 12 bytes."""
    return (b"\xff#%b%b%b%%024x" % (place.hex().encode(), _zeros, identity.hex().encode())).__mod__


def is_chunk(name: bytes) -> bool:
    """Whether it is the name of a chunk. A long key's looks so in one of 2^64 cases."""
    return name[34:50] == _zeros and name.startswith(b"\xff#")


def position(name: bytes, hash_tags: bool = False) -> Position:
    """The place of `name`: ketama's point (md5, first 32 bits, little-endian) and a slot from other bits of the digest.

    With `hash_tags`, a part between `{` and the next `}` is all that is hashed, so that related keys share a node.
    """
    return Position._make(point_and_slot(digest(name, hash_tags)))


def digest(name: bytes, hash_tags: bool = False) -> bytes:
    """What decides where `name` lives; `point_and_slot` takes its position from it."""
    if name.startswith(_mark):
        if long_name := _long_name(name):
            return bytes.fromhex(long_name[1].decode())
        name = plain(name)
    return md5(_tag(name) if hash_tags else name, usedforsecurity=False).digest()


def hashed_part(name: bytes, hash_tags: bool = False) -> bytes:
    """What rings that do not go by `digest` hash of a name: of a long one, and of a chunk, the digits of its place."""
    if name.startswith(b"\xff#"):
        return name[2:34]
    name = plain(name)
    return _tag(name) if hash_tags else name


def _tag(name: bytes) -> bytes:
    head, brace, rest = name.partition(b"{")
    tag, closing, _ = rest.partition(b"}")
    return tag if brace and closing and tag else name


def plain(name: bytes) -> bytes:
    """A name as it was before it was changed: the made key, unless that is too long."""
    mark = _below(name)
    return name[mark.end() :] if mark else name


def wire_key(name: bytes, generation: int) -> bytes:
    """What a node stores `name` under while its slot has `generation`. Raises InvalidKey where that is too long: a node
    would take the value for commands."""
    key = b"\xff%d;%b" % (generation, name) if generation else name
    if len(key) > MAX_KEY_BYTES:
        raise InvalidKey(f"{key[:20]!r}… has {len(key)} bytes with its generation, the limit is {MAX_KEY_BYTES}")
    return key


def parse_wire_key(key: bytes) -> tuple[bytes, int] | None:
    """The (name, generation) of a key that a node says it holds; None for one that `wire_key` never makes.

    Other software's keys may look like ours, and a node may say anything: what is returned here is safe to send.
    """
    match = _stored(key)
    if match is None or len(match[2]) > MAX_NAME_BYTES:
        return None
    name = match[2]
    if not name.isascii() and not _long_name(name):
        try:
            plain(name).decode()
        except UnicodeDecodeError:
            return None
    return name, int(match[1] or 0)
