"""The thin-client protocol of Apache Ignite (1.7): requests as bytes, and replies from chunks cut anywhere. Pure.

A frame is its length (4 bytes, little-endian), a code, the number of the request, and a body. Replies come in any
order: a server works at several requests of one connection at once, even where they are about one key.

A server is hostile input: what it announces is bounded before anything is kept.
"""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from ...errors import ProtocolViolation


class Operation(IntEnum):
    """Codes of requests."""

    GET = 1000
    PUT = 1001
    PUT_IF_ABSENT = 1002
    GET_AND_PUT_IF_ABSENT = 1008
    REPLACE_IF_EQUALS = 1010
    REMOVE_KEY = 1016
    REMOVE_IF_EQUALS = 1017
    REMOVE_KEYS = 1018
    GET_SIZE = 1020
    SCAN = 2000
    NEXT_PAGE = 2001
    CONFIGURATION = 1055
    NODE_IDS = 5100
    NODE_INFO = 5101


NO_CACHE = 1000
"""The status of a reply where there is no cache of that name."""
NULL = b"\x65"
MAX_FRAME_BYTES = 2**28
_FAILED, _TOPOLOGY = 1, 2
_STRING = b"\x09"
OCTETS, OCTETS_HEAD_BYTES = 12, 5
"""The kind of an array of bytes, and the size of what precedes them."""
_EXPIRES = b"\x04"
_KEEP, _FOREVER = -2, -1
LATE_MILLISECONDS = 20
"""A server looks at a clock that one of its threads moves about every 10 ms, both when it is told a TTL and when it is
asked for the item; as much again is for a thread that comes late."""
_id = Struct("<i").pack
_bytes_at = Struct("<Bi").unpack_from
_policy = Struct("<qqq").pack
_status = Struct("<i").unpack_from
head = Struct("<ihq").pack
"""The beginning of a request: its length, a code, a number."""
reply_head_at = Struct("<iqh").unpack_from
"""That of a reply: its length, the number of its request, flags."""
octets_head = Struct("<Bi").pack
"""What precedes an array of bytes: its kind, its length."""
length = Struct("<i").pack
REPLY_BYTES = 14
"""Of a reply before its body."""
BODY_BYTES = 10
"""Of a request's body, as its length counts them."""


def request(operation: int, body: bytes, number: int) -> bytes:
    return head(BODY_BYTES + len(body), operation, number) + body


def handshake(user: str | None, password: str | None) -> bytes:
    """The first thing that is said: a client of version 1.7.0 that wants to look at nodes."""
    login = b"".join(NULL if word is None else string(word.encode()) for word in (user, password))
    body = b"\x01\x01\x00\x07\x00\x00\x00\x02" + octets(b"\x10") + login
    return length(len(body)) + body


def string(text: bytes) -> bytes:
    return b"\x09" + length(len(text)) + text


def octets(data: bytes) -> bytes:
    return octets_head(OCTETS, len(data)) + data


def key(wire_key: bytes) -> bytes:
    """A wire key as an Ignite string, which other clients can read: each of its bytes is a character."""
    return string(wire_key if wire_key.isascii() else wire_key.decode("latin-1").encode())


def cache_id(name: str) -> bytes:
    """How requests name a cache: by the hash that Java makes of its name."""
    number = 0
    for character in name:
        number = (number * 31 + ord(character)) % 2**32
    return number.to_bytes(4, "little")


def plain(cache: bytes) -> bytes:
    """What a request on a cache begins with."""
    return cache + b"\x00"


def expiring(cache: bytes, milliseconds: int | None) -> bytes:
    """The same of a write that gives an item a TTL; None: for ever. Reads leave it. The server is told less, so that
    the item does not outlive it."""
    left = _FOREVER if milliseconds is None else max(1, milliseconds - LATE_MILLISECONDS)
    return cache + _EXPIRES + _policy(left, left, _KEEP)


def keeping(cache: bytes) -> bytes:
    """The same of a write that leaves an item the TTL it has."""
    return cache + _EXPIRES + _policy(_FOREVER, _KEEP, _KEEP)


class Failed(NamedTuple):
    """In place of a body."""

    status: int
    words: str


TOO_LARGE = Failed(-1, "it is larger than this process reads")
"""In place of a body that was skipped."""


class Frame(NamedTuple):
    """A reply."""

    number: int
    body: bytes | Failed


class Frames:
    """Cuts a stream into replies. Raises ProtocolViolation at what can't be right, and where servers of the cluster
    have come or gone since the greeting: what came may have brought the past.

    `changes`: how many replies may say so. The first one on a connection does.
    """

    __slots__ = ("_data", "_chunks", "_missing", "_most", "_skip", "_skipped", "_changes")

    def __init__(self, most: int = MAX_FRAME_BYTES, changes: int = 0) -> None:
        self._most, self._changes = min(most, MAX_FRAME_BYTES), changes
        self._data = b""
        self._chunks: list[bytes] = []
        self._missing = 0
        self._skip = self._skipped = 0
        """How many bytes are still to come of a reply that is too large, and its number."""

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The replies that are complete, one after the other."""
        if self._skip > 0:
            if len(chunk) < self._skip:
                self._skip -= len(chunk)
                return
            self._data, chunk, self._skip = chunk[self._skip :], b"", 0
            yield Frame(self._skipped, TOO_LARGE)
        if len(chunk) < self._missing:  # Inside a long one: joined once, so that it costs linear time.
            self._chunks.append(chunk)
            self._missing -= len(chunk)
            return
        self._data = b"".join((self._data, *self._chunks, chunk))
        self._chunks, self._missing = [], 0
        while len(self._data) >= REPLY_BYTES:
            data = self._data
            size, number, flags = reply_head_at(data)
            if not BODY_BYTES <= size <= MAX_FRAME_BYTES:
                raise ProtocolViolation(f"a reply of {size} bytes")
            end = 4 + size
            if size > self._most:
                self._skip = end - len(data)
                self._data = data[end:]
                if self._skip > 0:
                    self._skipped = number
                    return
                yield Frame(number, TOO_LARGE)
                continue
            if len(data) < end:
                self._missing = end - len(data)
                return
            self._data = data[end:]
            if flags & _TOPOLOGY:
                self._changes -= 1
                if self._changes < 0:
                    raise ProtocolViolation("servers of its cluster have come or gone")
            yield Frame(number, _body(data[:end], flags))

    @property
    def rest(self) -> int:
        """How many bytes follow the last reply."""
        return len(self._data)


def _body(frame: bytes, flags: int) -> bytes | Failed:
    start = REPLY_BYTES + (12 if flags & _TOPOLOGY else 0)
    if not flags & _FAILED:
        return frame[start:]
    if len(frame) < start + 4:
        raise ProtocolViolation("an error without a status")
    return Failed(_status(frame, start)[0], frame[start + 9 : start + 209].decode("ascii", "replace"))


def held(body: bytes) -> bytes | None:
    """The bytes in an object; None where it is something else."""
    if len(body) < 5:
        return None
    kind, size = _bytes_at(body)
    return body[OCTETS_HEAD_BYTES:] if kind == OCTETS and size == len(body) - OCTETS_HEAD_BYTES else None


def yes(body: bytes) -> bool:
    """What a request that answers with a truth value says. Raises ProtocolViolation."""
    if body not in (b"\x00", b"\x01"):
        raise ProtocolViolation(f"{body[:20]!r} where yes or no should be")
    return body == b"\x01"
