"""The bytes of the short cut (`engines.shortcut`), as `protocol` encodes the same commands.

Replies have no numbers, so every one is compared as a whole, with all that came: one byte more, and it is not plain.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from ...commands import Answer
from ...errors import ProtocolViolation
from ...model.keys import MAX_KEY_BYTES
from ...values.plain import PICKLE
from ..shortcut import OUT_OF_STEP, Found, ShortCut, WholeParser
from . import scripts
from .items import ITEM, OVERHEAD_BYTES, is_stub, pack, unpack
from .protocol import milliseconds
from .resp import command

_STUB_LENGTH = b"$17\r\n\xdd"
_STUB_REPLY_BYTES = 24
_header_bytes = 12
"""More than the first line of a value has that the short cut reads."""
_longest_digits = 21
_key_headers = [b"$%d\r\n" % size for size in range(MAX_KEY_BYTES + 1)]
"""By the size of the key: half of the time that it takes to write one."""
_size = re.compile(rb"\$(0|[1-9]\d{0,7})").fullmatch
_number = re.compile(rb"\$(\d{1,2})\r\n(\d{1,19})\r\n").fullmatch


def _script(text: bytes, arguments: int) -> bytes:
    """The beginning of a command that runs a script; its key and its arguments follow."""
    return b"*%d\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n1\r\n" % (4 + arguments, len(text), text)


_TOUCH, _COUNT = _script(scripts.TOUCH, 1), _script(scripts.COUNT, 2)


def get(asked: tuple[bytes, int]) -> bytes:
    key = asked[0]
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)


def found(data: bytes, opaque: int) -> tuple[int, int, int] | None:
    """The flags of the one value that `data` begins with, and where it starts and stops; None if it is not that."""
    end = data.find(b"\r\n", 0, _header_bytes)
    if end < 0 or (size := _bulk_size(data[:end])) is None:
        return None
    start = end + 2
    stop = start + size
    first = data[start : start + 1]
    if first == b"\x80":
        return PICKLE, start, stop
    if first == ITEM and len(data) >= start + OVERHEAD_BYTES <= stop:
        return int.from_bytes(data[start + 1 : start + OVERHEAD_BYTES], "big"), start + OVERHEAD_BYTES, stop
    stored = data[start:stop]
    # Other software's are known by their first bytes, but for digits, which are known as a whole.
    if not stored or is_stub(stored) or len(stored) < min(size, _longest_digits):
        return None
    return unpack(stored)[0], start, stop


@lru_cache(1024)
def _bulk_size(header: bytes) -> int | None:
    """Values of a site have few sizes: most of the time this is one look-up."""
    match = _size(header)
    return int(match[1]) if match else None


def missed(data: bytes, opaque: int) -> bool:
    return data == b"$-1\r\n" or (data.startswith(_STUB_LENGTH) and len(data) == _STUB_REPLY_BYTES)


def store(asked: tuple[bytes, int, int, bytes, int, bytes]) -> bytes:
    key, _, flags, expires, _, data = asked
    stored = pack(flags, data)
    if expires:
        ends = (len(key), key, len(stored), stored, len(expires), expires)
        return b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%b\r\n" % ends
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(stored), stored)


def stored(data: bytes, opaque: int) -> bool | None:
    return True if data == b"+OK\r\n" else None


def add(asked: tuple[bytes, int, bytes, int, int, bytes, int, bytes]) -> bytes:
    key, _, _, _, flags, expires, _, data = asked
    ends = (b"PX", expires) if expires else ()
    return command(b"GET", key) + command(b"SET", key, pack(flags, data), *ends, b"NX")


def added(data: bytes, opaque: int) -> bool:
    return data == b"$-1\r\n+OK\r\n"


def kept(rest: bytes, opaque: int) -> bool:
    return rest == b"\r\n$-1\r\n"


def remove(key: bytes, opaque: int) -> bytes:
    return b"*2\r\n$6\r\nUNLINK\r\n$%d\r\n%b\r\n" % (len(key), key)


def removed(data: bytes, opaque: int) -> bool | None:
    return True if data == b":1\r\n" else False if data == b":0\r\n" else None


def touch(asked: tuple[bytes, bytes, int]) -> bytes:
    key, expires, _ = asked
    return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n" % (_TOUCH, len(key), key, len(expires), expires)


def touched(data: bytes, opaque: int) -> bool | None:
    return True if data == b":2\r\n" else False if data == b":0\r\n" else None


def count(asked: tuple[bytes, int, int]) -> bytes:
    key, delta, _ = asked
    digits = b"%d" % delta
    return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n$0\r\n\r\n" % (_COUNT, len(key), key, len(digits), digits)


def counted(data: bytes, opaque: int) -> int | bool | None:
    match = _number(data)
    if match and int(match[1]) == len(match[2]):
        return int(match[2])
    return False if data == b":0\r\n" else None


def questions(keys: Sequence[bytes], first: int) -> bytes:
    if len(keys) == 1:
        return get((keys[0], first))
    return b"*%d\r\n$4\r\nMGET\r\n%b" % (len(keys) + 1, _arguments(keys))


def answers(
    data: bytes, made_keys: Sequence[str], number: int, first: int, there: Found, missed: list[str]
) -> tuple[int, int]:
    """Read the answers in `data` to `questions`, from its `number`th on."""
    position = 0
    items = _whole(data, len(made_keys)) if not number else None
    if items:
        for made_key, item in zip(made_keys, items, strict=True):
            if item[:1] == b"\x80":
                there[made_key] = PICKLE, item
            elif is_stub(item):
                missed.append(made_key)
            else:
                there[made_key] = unpack(item)
        return len(data), len(made_keys)
    if not number and len(made_keys) > 1:
        head = b"*%d\r\n" % len(made_keys)
        if not data.startswith(head):
            return (0 if head.startswith(data) else OUT_OF_STEP), 0
        position = len(head)
    while number < len(made_keys):
        end = data.find(b"\r\n", position, position + _header_bytes)
        if end < 0:
            return ((position if number else 0) if len(data) - position < _header_bytes else OUT_OF_STEP), number
        header = data[position:end]
        start = end + 2
        if header == b"$-1":
            missed.append(made_keys[number])
            position = start
        else:
            size = _bulk_size(header)
            if size is None:
                return OUT_OF_STEP, number
            end = start + size
            if len(data) < end + 2:
                return (position if number else 0), number
            if data[end : end + 2] != b"\r\n":
                return OUT_OF_STEP, number
            item = data[start:end]
            if is_stub(item):
                missed.append(made_keys[number])
            else:
                there[made_keys[number]] = (PICKLE, item) if item[:1] == b"\x80" else unpack(item)
            position = end + 2
        number += 1
    return position, number


def _whole(data: bytes, count: int) -> list[bytes] | None:
    """The items of an answer that is there as a whole, and in which each key is, if none of them has a line's end in
    it: most have none, and then few calls find them all. Each has the length that was announced."""
    parts = data.split(b"\r\n") if data.endswith(b"\r\n") else []
    if len(parts) != 2 * count + 2 or parts[0] != b"*%d" % count:
        return None
    items = parts[2:-1:2]
    return items if parts[1:-1:2] == [b"$%d" % len(item) for item in items] else None


def one_store(asked: tuple[bytes, int, int, bytes, bytes]) -> bytes:
    key, size, flags, expires, data = asked
    return store((key, size, flags, expires, 0, data))


def stores(parts: Sequence[bytes], opaque: int) -> bytes:
    return b"".join(parts)


def removes(keys: Sequence[bytes], opaque: int) -> bytes:
    """One command: it takes the node a third of the time of many."""
    return b"*%d\r\n$6\r\nUNLINK\r\n%b" % (len(keys) + 1, _arguments(keys))


def _arguments(keys: Sequence[bytes]) -> bytes:
    return b"\r\n".join([_key_headers[len(key)] + key for key in keys]) + b"\r\n"


class StoresParser(WholeParser):
    """Reads what a node answers to `stores`: a line for each."""

    _plain = re.compile(rb"(?:\+OK\r\n)+").fullmatch
    _one_line = False

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes; True once the node is through. Raises ProtocolViolation."""
        self._data += chunk[start:]
        lines, expected = self._data.count(b"\n"), 1 if self._one_line else self._commands
        if lines < expected:
            return False
        if lines == expected and self._plain(self._data):
            self.replies = [Answer.DONE] * self._commands
            return True
        self.refused = lines == expected and self._data.endswith(b"\r\n")
        raise ProtocolViolation(f"{self._data[:80]!r}")


class RemovesParser(StoresParser):
    """Reads what a node answers to `removes`: how many of the keys there were."""

    _plain = re.compile(rb":\d{1,9}\r\n").fullmatch
    _one_line = True


HOT = ShortCut(
    expires=milliseconds,
    get=get,
    found=found,
    missed=missed,
    store=store,
    stored=stored,
    add=add,
    added=added,
    kept=kept,
    remove=remove,
    removed=removed,
    touch=touch,
    touched=touched,
    count=count,
    counted=counted,
    questions=questions,
    answers=answers,
    one_store=one_store,
    stores=stores,
    stores_parser=StoresParser,
    removes=removes,
    removes_parser=RemovesParser,
)
