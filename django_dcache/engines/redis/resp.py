"""RESP 2, the protocol of Redis and Valkey: commands as bytes, and replies from chunks cut anywhere. Pure, no socket.

A server is hostile input. What it announces is bounded before anything is kept: the length of a line, the number of
parts of an array, how deep they lie in each other. A value above a limit is skipped while it comes.
"""

from typing import Any, Final

from ...errors import ProtocolViolation
from ..body import Body

MAX_LINE_BYTES = 4096
MAX_BULK_BYTES = 2**29
"""Of one value: no server takes a larger one (`proto-max-bulk-len`), unless it was told to."""
MAX_DEPTH = 3
PARTS = 16
"""Of an array, at most, unless more are asked for."""
_DIGITS = 19


class Status(bytes):
    """A reply such as +OK."""

    __slots__ = ()


class Error(bytes):
    """A reply such as -ERR."""

    __slots__ = ()

    @property
    def kind(self) -> bytes:
        """Its first word, in capitals: what sort of error it is."""
        return self.partition(b" ")[0]


class TooLarge:
    """In place of a value that was skipped."""


TOO_LARGE: Final = TooLarge()


def command(*parts: bytes) -> bytes:
    """The bytes of a command."""
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class Reader:
    """Reads `wanted` replies. Text and values are bytes, numbers int, nothing is None, an array is a list.

    Raises ProtocolViolation at the first byte that can't be right.
    """

    __slots__ = ("raw", "rest", "_wanted", "_most", "_parts", "_unread", "_body", "_bulk", "_skip", "_stack")

    def __init__(self, wanted: int, most_bytes: int = MAX_BULK_BYTES, most_parts: int = PARTS):
        self.raw: list[Any] = []
        self.rest = 0
        """How many bytes of the last chunk follow the last reply."""
        self._wanted, self._most, self._parts = wanted, most_bytes, most_parts
        self._unread = b""
        """What came of a line without its end."""
        self._body: Body | None = None
        """Of the value that comes, as long as some of it is missing."""
        self._bulk = -1
        """The length of the value that comes next; -1: a line comes next."""
        self._skip = 0
        """How many bytes are still to come of a value that is too large."""
        self._stack: list[tuple[int, list[Any]]] = []
        """The arrays that are not complete: how many parts each will have, and those that came."""

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes, in `chunk` from `start` on; True once every reply is there."""
        here = len(chunk) - start
        if self._skip:
            if here < self._skip:
                self._skip -= here
                return False
            start += self._skip
            self._skip = 0
            self._push(TOO_LARGE)
        elif self._body:
            start = self._body.feed(chunk, start)
            if self._body.missing:
                return False
            self._push(self._body.joined())
            self._body, self._bulk = None, -1
        data, position = chunk, start
        if self._unread:
            data, position, self._unread = self._unread + chunk[start:], 0, b""
        position = self._read(data, position)
        if len(self.raw) < self._wanted:
            self._unread = data[position:]
            return False
        self.rest = len(data) - position
        return True

    def _read(self, data: bytes, position: int) -> int:
        """Take replies as far as they have come; where the next one begins."""
        size = len(data)
        while len(self.raw) < self._wanted:
            if self._bulk >= 0:
                end = position + self._bulk
                if size < end + 2:
                    if self._bulk > self._most:
                        self._skip, self._bulk = end + 2 - size, -1
                        return size
                    self._body = Body(self._bulk, data, position)
                    return size
                if data[end : end + 2] != b"\r\n":
                    raise ProtocolViolation("a value that does not end where it should")
                self._push(data[position:end] if self._bulk <= self._most else TOO_LARGE)
                position, self._bulk = end + 2, -1
                continue
            end = data.find(b"\r\n", position, position + MAX_LINE_BYTES)
            if end < 0:
                if size - position >= MAX_LINE_BYTES:
                    raise ProtocolViolation("a reply line without an end")
                return position
            self._line(data[position : position + 1], data[position + 1 : end])
            position = end + 2
        return position

    def _line(self, kind: bytes, line: bytes) -> None:
        if kind == b"$":
            length = _number(line)
            if length == -1:
                self._push(None)
            elif 0 <= length <= MAX_BULK_BYTES:
                self._bulk = length
            else:
                raise ProtocolViolation(f"a value of {length} bytes")
        elif kind == b":":
            self._push(_number(line))
        elif kind == b"+":
            self._push(Status(line))
        elif kind == b"-":
            self._push(Error(line))
        elif kind == b"*":
            parts = _number(line)
            if parts == -1 or parts == 0:
                self._push(None if parts else [])
            elif 0 < parts <= self._parts and len(self._stack) < MAX_DEPTH:
                self._stack.append((parts, []))
            else:
                raise ProtocolViolation(f"an array of {parts} parts")
        else:
            raise ProtocolViolation(f"{(kind + line)[:80]!r}")

    def _push(self, value: Any) -> None:
        while self._stack:
            parts, found = self._stack[-1]
            found.append(value)
            if len(found) < parts:
                return
            self._stack.pop()
            value = found
        self._take(value)

    def _take(self, value: Any) -> None:
        """A reply is complete."""
        self.raw.append(value)


def _number(line: bytes) -> int:
    digits = line.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > _DIGITS:  # int() takes more than digits.
        raise ProtocolViolation(f"{line[:20]!r} where a number should be")
    return int(line)
