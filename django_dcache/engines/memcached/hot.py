"""The bytes of the short cut: one form for each plain question, and one look at each plain answer.

An answer that is not plain (an error line, a value of unusual size, a reply in two parts) is None here, and left to the
engine's parser. Every question has an opaque number that its answer echoes.
"""

import re
from collections.abc import Sequence
from itertools import count as numbers
from time import time

from ...commands import Answer, Reply
from ...errors import ProtocolViolation
from ...model.keys import RESERVED
from .protocol import MONTH, exptime

Found = dict[str, tuple[int, bytes]]
"""(flags, data) by made key."""
OUT_OF_STEP = -1
"""In place of a position: what is there is no answer to what was asked."""

# What is longer than this, in digits or in bytes, is left to the parser.
_header = re.compile(rb"VA (\d{1,8}) f(\d{1,9}) O(\d{1,10})\r\n").match
_answer = re.compile(rb"(?:VA (\d{1,8}) f(\d{1,9})|EN) O(\d{1,10})( Z)?\r\n").match
_added = re.compile(rb"(HD|NS) O(\d{1,10})\r\nHD s\d{1,10} c\d{1,19} f(\d{1,9}) O(\d{1,10})\r\n").fullmatch
_counted = re.compile(rb"VA (\d{1,2}) O(\d{1,10})\r\n(\d{1,20})( *)\r\n").fullmatch

# Each takes one tuple: what its places stand for, in this order.
get = b"mg %b v f O%d\r\n".__mod__
store = b"ms %b %d F%d T%d O%d\r\n%b\r\n".__mod__
remove = b"md %b O%d\r\n".__mod__
touch = b"mg %b T%d O%d\r\n".__mod__
count = b"ma %b D%d v O%d\r\n".__mod__
add = b"ms %b %d F%d T%d O%d ME\r\n%b\r\nmg %b s c u f O%d\r\n".__mod__
quiet_store = b"ms %b %d F%d T%d q\r\n%b\r\n".__mod__
# The classic form takes a node a third less time.
quiet_remove = b"delete %b noreply\r\n".__mod__
closing = b"md %b O%%d\r\n" % RESERVED
"""After quiet commands: its answer says that the node is through with them."""


def expires(ttl: float | None) -> int:
    """A TTL as `store`, `add` and `touch` take it."""
    return ttl if type(ttl) is int and ttl <= MONTH else exptime(ttl, time())


def found(data: bytes, opaque: int) -> tuple[int, int, int] | None:
    """The flags of the one value that `data` begins with, and where it starts and stops; None if it is not that."""
    if (match := _header(data)) and int(match[3]) == opaque:
        return int(match[2]), match.end(), match.end() + int(match[1])
    return None


def missed(data: bytes, opaque: int) -> bool:
    """Whether the answer to `get` is a miss. A stub is a miss too: another caller is loading."""
    return data == b"EN O%d\r\n" % opaque or data == b"VA 0 f0 O%d Z\r\n\r\n" % opaque


def done(data: bytes, opaque: int) -> bool | None:
    """The answer to `store`, `remove` and `touch`: False if there was nothing to remove or to touch."""
    if data[2:] != b" O%d\r\n" % opaque:
        return None
    return True if data.startswith(b"HD") else False if data[:2] in (b"NF", b"EN") else None


def counted(data: bytes, opaque: int) -> int | bool | None:
    """The new number, as the node has it; False if there is none."""
    match = _counted(data)
    # Counting down may leave spaces behind the digits.
    if match and int(match[2]) == opaque and int(match[1]) == len(match[3]) + len(match[4]):
        return int(match[3])
    return False if data == b"NF O%d\r\n" % opaque else None


def added(data: bytes, opaque: int) -> tuple[bool, int] | None:
    """The answer to `add`: whether it was stored, and the flags of what is there now. None where a stub is, too."""
    match = _added(data)
    if match is None or int(match[2]) != opaque or int(match[4]) != opaque + 1:
        return None
    return match[1] == b"HD", int(match[3])


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
        match = _answer(data, position)
        if match is None:
            return (position if data.find(b"\n", position) < 0 else OUT_OF_STEP), number
        size, flags, echo, stub = match.groups()
        if int(echo) != first + number:
            return OUT_OF_STEP, number
        start = end = match.end()
        if size is not None:
            end = start + int(size) + 2
            if len(data) < end:
                return position, number
            if not data.startswith(b"\r\n", end - 2):
                return OUT_OF_STEP, number
        if size is None or stub:
            missed.append(made_keys[number])
        else:
            found[made_keys[number]] = int(flags), data[start : end - 2]
        position = end
        number += 1
    return position, number


class QuietParser:
    """Reads what a node says to quiet commands and their `closing`: nothing but the answer to the last, if all is well.

    A refusal does not say what it refuses: it is no reply, but `refused` says that the node is through all the same.
    """

    def __init__(self, commands: int, opaque: int):
        self.replies: list[Reply] = []
        self.refused = False
        self.rest = 0
        self._commands, self._end, self._data = commands, b"NF O%d\r\n" % opaque, b""

    @property
    def complete(self) -> bool:
        return len(self.replies) == self._commands

    @property
    def tainted(self) -> bool:
        return self.refused

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes; True once the node is through. Raises ProtocolViolation."""
        self._data += chunk[start:]
        through = self._data.endswith(self._end)
        lines = self._data[: self._data.rfind(b"\n") + 1]
        # 1.6.18 says so of an absent key, all the same.
        said = (lines.removesuffix(self._end) if through else lines).replace(b"NF\r\n", b"")
        refusal = said.startswith(b"SERVER_ERROR")
        self.refused = through and refusal
        if said and (through or not refusal):
            raise ProtocolViolation(f"{said[:80]!r}")
        if through:
            self.replies = [Answer.DONE] * self._commands
        return through
