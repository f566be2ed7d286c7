"""The bytes of the short cut (`engines.shortcut`). The node echoes the opaque number of every question."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import count as numbers
from time import time

from ...commands import Answer
from ...errors import ProtocolViolation
from ...model.keys import RESERVED
from ..shortcut import OUT_OF_STEP, Found, ShortCut, WholeParser
from .protocol import MONTH, exptime

# What is longer than this, in digits or in bytes, is left to the parser.
_header = re.compile(rb"VA (0|[1-9]\d{0,7}) f(0|[1-9]\d{0,8})").fullmatch
_header_bytes = 40
"""More than the longest first line of a value has."""
_answer = re.compile(rb"(?:VA (0|[1-9]\d{0,7}) f(0|[1-9]\d{0,8})|EN) O(0|[1-9]\d{0,9})( Z)?\r\n").match
_number = re.compile(rb"\d{1,20} *\r\n").fullmatch

# Each takes one tuple: what its places stand for, in this order.
get = b"mg %b v f O%d\r\n".__mod__
store = b"ms %b %d F%d T%d O%d\r\n%b\r\n".__mod__
touch = b"mg %b T%d O%d\r\n".__mod__
count = b"ma %b D%d v O%d\r\n".__mod__
add = b"mg %b v u f O%d\r\nms %b %d F%d T%d O%d ME\r\n%b\r\n".__mod__
one_store = b"ms %b %d F%d T%d q\r\n%b\r\n".__mod__
_closing = b"md %b O%%d\r\n" % RESERVED


def in_pieces(asked: tuple[bytes, int, int, int, bytes]) -> tuple[bytes, bytes, bytes]:
    """The same, with the data as it is: large values are not copied for it."""
    return b"ms %b %d F%d T%d q\r\n" % asked[:4], asked[4], b"\r\n"


def stores(parts: Sequence[bytes], opaque: int) -> bytes:
    """Commands without an answer, and one whose answer says that the node is through with them."""
    return b"".join(parts) + _closing % opaque


def removes(keys: Sequence[bytes], opaque: int) -> bytes:
    """The same. The classic form takes a node a third less time."""
    return b"delete " + b" noreply\r\ndelete ".join(keys) + b" noreply\r\n" + _closing % opaque


def remove(key: bytes, opaque: int) -> bytes:
    """Delete it."""
    return b"md %b O%d\r\n" % (key, opaque)


def expires(ttl: float | None) -> int:
    """A TTL as `store`, `add` and `touch` take it."""
    return ttl if type(ttl) is int and ttl <= MONTH else exptime(ttl, time())


def found(data: bytes, opaque: int) -> tuple[int, int, int] | None:
    """The flags of the one value that `data` begins with, and where it starts and stops; None if it is not that."""
    echo = b" O%d\r\n" % opaque
    end = data.find(echo, 0, _header_bytes)
    if end < 0 or (value := _flags_and_size(data[:end])) is None:
        return None
    flags, size = value
    start = end + len(echo)
    return flags, start, start + size


@lru_cache(1024)
def _flags_and_size(header: bytes) -> tuple[int, int] | None:
    """Values of a site have few sizes: most of the time this is one look-up."""
    match = _header(header)
    return (int(match[2]), int(match[1])) if match else None


def missed(data: bytes, opaque: int) -> bool:
    """Whether the answer to `get` is a miss. A stub is a miss too: another caller is loading."""
    return data == b"EN O%d\r\n" % opaque or data == b"VA 0 f0 O%d Z\r\n\r\n" % opaque


def done(data: bytes, opaque: int) -> bool | None:
    """The answer to `store`, `remove` and `touch`: False if there was nothing to remove or to touch."""
    echo = b" O%d\r\n" % opaque
    return True if data == b"HD" + echo else False if data == b"NF" + echo or data == b"EN" + echo else None


def counted(data: bytes, opaque: int) -> int | bool | None:
    """The new number, as the node has it; False if there is none."""
    echo = b" O%d\r\n" % opaque
    header, found, number = data.partition(echo)
    if not found:
        return None
    # Counting down may leave spaces behind the digits.
    if header == b"VA %d" % (len(number) - 2) and _number(number):
        return int(number)
    return False if data == b"NF" + echo else None


def added(data: bytes, opaque: int) -> bool:
    """Whether the answer to `add` is that nothing was there, and that it is stored."""
    return data.startswith(b"EN") and data == b"EN O%d\r\nHD O%d\r\n" % (opaque, opaque + 1)


def kept(rest: bytes, opaque: int) -> bool:
    """Whether the answer to `add`, behind the value that was there, is that nothing was stored."""
    return rest == b"\r\nNS O%d\r\n" % (opaque + 1)


def questions(keys: Sequence[bytes], first: int) -> bytes:
    """A `get` of each key, numbered from `first` on."""
    return b"".join(map(get, zip(keys, numbers(first))))


def answers(
    data: bytes, made_keys: Sequence[str], number: int, first: int, found: Found, missed: list[str]
) -> tuple[int, int]:
    """Read the answers in `data` to `questions`, from its `number`th on.

    What is there goes to `found` by its made key, what is not to `missed`: a stub is no value. Returns the position and
    the number at which to go on when more has come, or OUT_OF_STEP and the number that went wrong.
    """
    position = 0
    while number < len(made_keys):
        echo = b" O%d\r\n" % (first + number)
        end = data.find(echo, position, position + _header_bytes)
        header = data[position:end] if end > 0 else b""
        start, stub = end + len(echo), None
        value = None if header == b"EN" else _flags_and_size(header)
        if value is None and header != b"EN":
            match = _answer(data, position)
            if match is None:
                return (position if data.find(b"\n", position) < 0 else OUT_OF_STEP), number
            size, flags, opaque, stub = match.groups()
            if int(opaque) != first + number:
                return OUT_OF_STEP, number
            start, value = match.end(), (int(flags), int(size)) if size else None
        if value is None:
            missed.append(made_keys[number])
            position = start
        else:
            flags, size = value
            end = start + size
            if len(data) < end + 2:
                return position, number
            if data[end : end + 2] != b"\r\n":
                return OUT_OF_STEP, number
            if stub:
                missed.append(made_keys[number])
            else:
                found[made_keys[number]] = flags, data[start:end]
            position = end + 2
        number += 1
    return position, number


class QuietParser(WholeParser):
    """Reads what a node says to quiet commands: nothing but the answer to the last, if all is well."""

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes; True once the node is through. Raises ProtocolViolation."""
        self._data += chunk[start:]
        end = b"NF O%d\r\n" % self._opaque
        if self._data == end:
            self.replies = [Answer.DONE] * self._commands
            return True
        through = self._data.endswith(end)
        lines = self._data[: self._data.rfind(b"\n") + 1]
        # 1.6.18 says so of an absent key, all the same.
        said = (lines.removesuffix(end) if through else lines).replace(b"NF\r\n", b"")
        refusal = said.startswith(b"SERVER_ERROR")
        self.refused = through and refusal
        if said and (through or not refusal):
            raise ProtocolViolation(f"{said[:80]!r}")
        if through:
            self.replies = [Answer.DONE] * self._commands
        return through


HOT = ShortCut(
    expires=expires,
    get=get,
    found=found,
    missed=missed,
    store=store,
    stored=done,
    add=add,
    added=added,
    kept=kept,
    remove=remove,
    removed=done,
    touch=touch,
    touched=done,
    count=count,
    counted=counted,
    questions=questions,
    answers=answers,
    one_store=one_store,
    stores=stores,
    stores_parser=QuietParser,
    removes=removes,
    removes_parser=QuietParser,
    compiled=True,
    in_pieces=in_pieces,
)
