"""The bytes of the short cut (`engines.shortcut`), as `protocol` encodes the same commands.

What takes a dialogue (add, touch, count) is begun here, and handed over with the first answer.
"""

from collections.abc import Sequence
from struct import Struct

from ...commands import Answer
from ...errors import ProtocolViolation
from ..lifetime import milliseconds
from ..shortcut import OUT_OF_STEP, Found, ShortCut, WholeParser
from . import frames
from .dialogues import ends
from .frames import (
    BODY_BYTES,
    NULL,
    OCTETS,
    OCTETS_HEAD_BYTES,
    REPLY_BYTES,
    Frames,
    Operation,
    expiring,
    key,
    plain,
    request,
)
from .items import HEAD_BYTES, ITEM, OVERHEAD_BYTES, STUB, STUB_BYTES, head, unique, unpack_head

_size = Struct("<i").unpack_from
_item_after = Struct("<iqhBi").unpack_from
_VALUE_AT = REPLY_BYTES + OCTETS_HEAD_BYTES
_MOST_REPLY_BYTES = 2**16
Expires = tuple[int, bytes]
"""When it ends (items.py), and what a write with that TTL begins with."""


def _reply(size: int, number: int, body: bytes = b"") -> bytes:
    """A plain reply as a whole."""
    return size.to_bytes(4, "little") + number.to_bytes(8, "little") + b"\x00\x00" + body


def found(data: bytes, opaque: int) -> tuple[int, int, int] | None:
    """The flags of the one value that `data` begins with, and where it starts and stops; None if it is not that."""
    if len(data) < _VALUE_AT + HEAD_BYTES:
        return None
    size, number, flags, kind, length = _item_after(data)
    if (
        number != opaque
        or flags
        or kind != OCTETS
        or length < OVERHEAD_BYTES
        or size != length + BODY_BYTES + OCTETS_HEAD_BYTES
    ):
        return None
    kind, item_flags, _, _ = unpack_head(data, _VALUE_AT)
    if kind != ITEM:
        return None
    return item_flags, _VALUE_AT + HEAD_BYTES, _VALUE_AT + length - 2


def missed(data: bytes, opaque: int) -> bool:
    if data == _reply(BODY_BYTES + 1, opaque, NULL):
        return True
    return len(data) == _VALUE_AT + STUB_BYTES and data[_VALUE_AT] == STUB and data[4:14] == _reply(0, opaque)[4:]


def _truth(data: bytes, opaque: int) -> bool | None:
    if data == _reply(BODY_BYTES + 1, opaque, b"\x01"):
        return True
    return False if data == _reply(BODY_BYTES + 1, opaque, b"\x00") else None


def _stored(data: bytes, opaque: int) -> bool | None:
    return True if data == _reply(BODY_BYTES, opaque) else None


def _not_yet(data: bytes, opaque: int) -> bool:
    """Where nothing is there the flow adds it."""
    return False


def _kept(rest: bytes, opaque: int) -> bool:
    """What is there says all: nothing is asked to be stored then."""
    return rest == b"\r\n"


def _absent(data: bytes, opaque: int) -> bool | None:
    return False if missed(data, opaque) else None


def _answers(
    data: bytes, made_keys: Sequence[str], number: int, first: int, there: Found, missed: list[str]
) -> tuple[int, int]:
    """Read the answers to `questions`, which come in any order: all at once, when the last one is there."""
    places: list[int] = []
    position = 0
    while len(places) < len(made_keys):
        if len(data) < position + REPLY_BYTES:
            return 0, 0
        places.append(position)
        size = _size(data, position)[0]
        if size <= BODY_BYTES:
            return OUT_OF_STEP, number
        position += 4 + size
    if len(data) < position:
        return 0, 0
    for start, end in zip(places, [*places[1:], position], strict=True):
        _, opaque, flags = frames.reply_head_at(data, start)
        place = opaque - first
        if flags or not 0 <= place < len(made_keys):
            return OUT_OF_STEP, number
        stored = start + _VALUE_AT
        if data[start + REPLY_BYTES] == NULL[0] or (end == stored + STUB_BYTES and data[stored] == STUB):
            missed.append(made_keys[place])
        elif end >= stored + OVERHEAD_BYTES and data[start + REPLY_BYTES] == OCTETS and data[stored] == ITEM:
            there[made_keys[place]] = unpack_head(data, stored)[1], data[stored + HEAD_BYTES : end - 2]
        else:
            return OUT_OF_STEP, number
    return position, len(made_keys)


class StoresParser(WholeParser):
    """Reads what a node answers to `stores`: a reply for each, all with one number."""

    def __init__(self, commands: int, opaque: int):
        super().__init__(commands, opaque)
        self._frames, self._left, self._failed = Frames(_MOST_REPLY_BYTES), self._wanted(commands), ""

    @staticmethod
    def _wanted(commands: int) -> int:
        return commands

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes; True once the node is through. Raises ProtocolViolation."""
        for number, body in self._frames.feed(chunk[start:] if start else chunk):
            if number != self._opaque or not self._left:
                raise ProtocolViolation("a reply to another command")
            self._left -= 1
            if body:  # Of an error there are words.
                self._failed = f"{body!r:.80}"
        if self._left:
            return False
        if self._failed or self._frames.rest:
            self.refused = not self._frames.rest
            raise ProtocolViolation(self._failed or "more was said than asked for")
        self.replies = [Answer.DONE] * self._commands
        return True


class RemovesParser(StoresParser):
    """Reads what a node answers to `removes`: one reply."""

    @staticmethod
    def _wanted(commands: int) -> int:
        return 1


def hot(cache: bytes) -> ShortCut:
    """What takes two system calls, on the cache with this id."""
    reads = plain(cache)
    ever = expiring(cache, None)

    def get(asked: tuple[bytes, int]) -> bytes:
        name = key(asked[0])
        return frames.head(BODY_BYTES + 5 + len(name), Operation.GET, asked[1]) + reads + name

    def expires(ttl: float | None) -> Expires:
        left = milliseconds(ttl)
        return (ends(left), ever if left is None else expiring(cache, left))

    def written(wire_key: bytes, size: int, flags: int, expires: Expires, data: bytes) -> bytes:
        until, begins = expires
        stored = frames.octets_head(OCTETS, size + OVERHEAD_BYTES) + head(ITEM, flags, unique(), until)
        return b"%b%b%b%b\r\n" % (begins, key(wire_key), stored, data)

    def store(asked: tuple[bytes, int, int, Expires, int, bytes]) -> bytes:
        wire_key, size, flags, expires, opaque, data = asked
        return request(Operation.PUT, written(wire_key, size, flags, expires, data), opaque)

    def one_store(asked: tuple[bytes, int, int, Expires, bytes]) -> bytes:
        return written(*asked)

    def stores(parts: Sequence[bytes], opaque: int) -> bytes:
        return b"".join([frames.head(BODY_BYTES + len(part), Operation.PUT, opaque) + part for part in parts])

    def removes(keys: Sequence[bytes], opaque: int) -> bytes:
        names = b"".join([key(wire_key) for wire_key in keys])
        return request(Operation.REMOVE_KEYS, reads + frames.length(len(keys)) + names, opaque)

    def look(asked: tuple[bytes, object, int]) -> bytes:
        """The first step of a touch, and of a count."""
        return get((asked[0], asked[2]))

    return ShortCut(
        expires=expires,
        get=get,
        found=found,
        missed=missed,
        store=store,
        stored=_stored,
        add=lambda asked: get(asked[:2]),
        added=_not_yet,
        kept=_kept,
        remove=lambda wire_key, opaque: request(Operation.REMOVE_KEY, reads + key(wire_key), opaque),
        removed=_truth,
        touch=look,
        touched=_absent,
        count=look,
        counted=_absent,
        questions=lambda keys, first: b"".join([get((wire_key, first + n)) for n, wire_key in enumerate(keys)]),
        answers=_answers,
        one_store=one_store,
        stores=stores,
        stores_parser=StoresParser,
        removes=removes,
        removes_parser=RemovesParser,
    )
