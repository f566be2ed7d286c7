"""memcached's meta protocol, for both directions. Pure bytes, no socket.

Protocol: doc/protocol.txt of memcached 1.6.18, the oldest version supported. Every command carries an opaque number
that the node must echo, so a late, repeated or foreign reply is never taken for an answer.
"""

import re
from collections.abc import Sequence
from itertools import product

from ...commands import (
    LEASE_SECONDS,
    Answer,
    Arithmetic,
    Command,
    Flush,
    Get,
    Refused,
    Remove,
    Reply,
    Store,
    Token,
    Touch,
    Value,
)
from ...errors import ProtocolViolation
from ...model.keys import wire_key
from ..body import Body

MONTH = 30 * 24 * 3600
MAX_VALUE_BYTES = 2**30
MAX_LINE_BYTES = 2048
_TWO_64 = 2**64


_answers: dict[type, dict[bytes, Answer]] = {
    Get: {b"EN": Answer.MISS},
    Store: {b"HD": Answer.DONE, b"NS": Answer.NOT_STORED, b"EX": Answer.CONFLICT, b"NF": Answer.MISS},
    Remove: {b"HD": Answer.DONE, b"EX": Answer.CONFLICT, b"NF": Answer.MISS},
    Touch: {b"HD": Answer.DONE, b"EN": Answer.MISS},
    Arithmetic: {b"EX": Answer.CONFLICT, b"NF": Answer.MISS},
}
"""What each command may be told, besides a value."""
_item = re.compile(
    rb"(?:VA (\d{1,9})|HD(?: s\d{1,10})?)(?: t(-1|\d{1,10}))?(?: c(\d{1,19}))? f(\d{1,9}) O(\d{1,10})( W)?( Z)?\r\n"
).match
_word = re.compile(rb"([A-Z]{2}) O(\d{1,10})\r\n").match


def exptime(ttl: float | None, now: float) -> int:
    """A TTL (seconds above 0, or None for ever) as the protocol wants it: rounded up to a whole number, absolute above
    30 days, 0 (for ever) beyond what the protocol can say. `now` is Unix time."""
    if ttl is None:
        return 0
    if ttl <= MONTH:
        return -int(-ttl // 1)
    # memcached keeps moments as 32 signed bits.
    return -int(-(now + ttl) // 1) if ttl <= 2**31 - 1 - now else 0


def _get(value: bool, ttl: bool, token: bool, lease: bool, peek: bool, uncounted: bool) -> bytes:
    wants = [b"v" if value else b"s", b"t" * ttl, b"c" * (token or lease), b"N%d" % LEASE_SECONDS * lease, b"u" * peek]
    # "Never expires", said once more, is a touch to memcached, and no hit.
    wants.append(b"T0" * uncounted)
    return b"mg %b " + b" ".join(filter(None, [*wants, b"f O%d"])) + b"\r\n"


_gets = {wants: _get(*wants) for wants in product((False, True), repeat=6)}


def encode(commands: Sequence[Command], first: int, now: float) -> bytes:
    """The bytes of a batch, whose opaque numbers begin with `first`. `now` is Unix time."""
    parts: list[bytes] = []
    for opaque, command in enumerate(commands, first):
        parts.append(_line(command, opaque, now))
        if type(command) is Store:  # Not in its line: values are copied once, which counts where they are large.
            parts += command.data, b"\r\n"
    return b"".join(parts)


def _line(command: Command, opaque: int, now: float) -> bytes:
    if type(command) is Get:
        return _gets[command[2:]] % (wire_key(command.name, command.generation), opaque)
    if type(command) is Store:
        name, generation, data, flags, ttl, add, token = command
        mode = b" ME" if add else b" C%d" % token.cas if token else b""
        expires = exptime(ttl, now)
        return b"ms %b %d F%d T%d O%d%b\r\n" % (wire_key(name, generation), len(data), flags, expires, opaque, mode)
    if type(command) is Remove:
        condition = b" C%d" % command.token.cas if command.token else b""
        return b"md %b O%d%b\r\n" % (wire_key(command.name, command.generation), opaque, condition)
    if type(command) is Touch:
        key = wire_key(command.name, command.generation)
        return b"mg %b T%d O%d\r\n" % (key, exptime(command.ttl, now), opaque)
    if type(command) is Arithmetic:
        # Modulo 2^64: `ma MD` stops at zero, and would not say that it did.
        key = wire_key(command.name, command.generation)
        condition = b" C%d" % command.token.cas if command.token else b""
        return b"ma %b D%d v O%d%b\r\n" % (key, command.delta % _TWO_64, opaque, condition)
    return b"flush_all\r\n"


class ReplyParser:
    """The replies to one batch of commands, from chunks cut anywhere.

    Feed it what arrives until `complete`; it raises ProtocolViolation at the first byte that can't be right.
    """

    __slots__ = (
        "replies",
        "refused",
        "rest",
        "_commands",
        "_opaque",
        "_connection",
        "_most",
        "_unread",
        "_item_begun",
        "_body",
        "_excess",
    )
    request = b""

    def __init__(
        self, commands: Sequence[Command], first_opaque: int, connection: int = 0, most: int = MAX_VALUE_BYTES
    ):
        self.replies: list[Reply] = []
        self.refused = False
        """An error line came: it says nothing of which command it answers."""
        self.rest = 0
        """How many bytes of the last chunk follow the last reply. Where nothing else was asked, they answer nothing."""
        self._commands, self._opaque, self._connection, self._most = commands, first_opaque, connection, most
        self._unread = b""
        """What came of a line without its end."""
        self._item_begun = Value(None)
        self._body: Body | None = None
        """Of that item, as long as some of it is missing."""
        self._excess = 0
        """How many bytes are still to come of a value that is too large, and is read as a miss."""

    @property
    def complete(self) -> bool:
        return len(self.replies) == len(self._commands)

    @property
    def tainted(self) -> bool:
        """The replies can be trusted, the connection can't any more."""
        return self.refused or self.rest > 0

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes, in `chunk` from `start` on; True once every reply is there."""
        if self._body:
            start = self._body.feed(chunk, start)
            if self._body.missing:
                return False
            self.replies.append(self._filled(self._item_begun, self._body.joined()))
            self._body = None
        elif self._excess:
            here = len(chunk) - start
            if here < self._excess:
                self._excess -= here
                return False
            start += self._excess
            self._excess = 0
            self.replies.append(Answer.MISS)
        data, position = chunk, start
        if self._unread:
            data, position, self._unread = self._unread + chunk[start:], 0, b""
        commands, replies = self._commands, self.replies
        wanted = len(commands)
        while (number := len(replies)) < wanted:
            # Nearly all replies have one of two shapes. What has another, or is not quite right, takes the long way.
            command = commands[number]
            if type(command) is Get and (match := _item(data, position)):
                size, ttl, cas, flags, opaque, won, stub = match.groups()
                start = match.end()
                end = start + int(size) + 2 if size else start
                in_step = bool(size) is command.value and int(opaque) == self._opaque + number
                if in_step and data.startswith(b"\r\n", end - 2):
                    found = data[start : end - 2] if size else None
                    token = Token(int(cas), self._connection) if cas else None
                    left = int(ttl) if ttl and ttl != b"-1" else None
                    replies.append(Value(found, int(flags), left, token, bool(won), bool(won or stub)))
                    position = end
                    continue
            elif (match := _word(data, position)) and int(match[2]) == self._opaque + number:
                answer = _answers.get(type(command), {}).get(match[1])
                if answer:
                    replies.append(answer)
                    position = match.end()
                    continue
            end = data.find(b"\r\n", position)
            if end < 0:
                if len(data) - position > MAX_LINE_BYTES:
                    raise ProtocolViolation("a reply line without an end")
                break
            line = data[position:end]
            if line[:3] == b"VA ":
                size, value = self._value(line)
                after = end + 2 + size
                if len(data) < after + 2 and size > self._most:
                    self._excess = after + 2 - len(data)
                    position = len(data)
                    break
                if len(data) < after + 2:
                    self._item_begun, self._body = value, Body(size, data, end + 2)
                    position = len(data)
                    break
                if data[after : after + 2] != b"\r\n":
                    raise ProtocolViolation("a value that does not end where it should")
                self.replies.append(self._filled(value, data[end + 2 : after]))
                position = after + 2
            else:
                self.replies.append(self._line(line))
                position = end + 2
        if len(self.replies) < wanted:
            self._unread = data[position:]
            return False
        self.rest = len(data) - position
        return True

    def _value(self, line: bytes) -> tuple[int, Value]:
        command, parts = self._commands[len(self.replies)], line.split(b" ")
        if not (type(command) is Arithmetic or (type(command) is Get and command.value)):
            raise ProtocolViolation("a value that was not asked for")
        size = int(parts[1]) if parts[1].isdigit() and len(parts[1]) <= 10 else -1
        if not 0 <= size <= MAX_VALUE_BYTES:
            raise ProtocolViolation(f"a size of {parts[1][:20]!r}")
        return size, self._item(parts[2:])

    def _filled(self, value: Value, data: bytes) -> Value:
        if type(self._commands[len(self.replies)]) is Arithmetic:
            digits = data.rstrip(b" ")
            if not digits.isdigit() or len(digits) > 20 or int(digits) >= _TWO_64:
                raise ProtocolViolation(f"a number {data[:20]!r}")
        return value._replace(data=data)

    def _line(self, line: bytes) -> Reply:
        command = self._commands[len(self.replies)]
        if type(command) is Flush:
            if line != b"OK":  # The one reply without an opaque number: flush_all has no meta form.
                raise ProtocolViolation(f"{line[:80]!r}")
            return Answer.DONE
        kind, *parts = line.split(b" ")
        if type(command) is Get and not command.value and kind == b"HD":
            return self._item(parts)
        answer = _answers[type(command)].get(kind)
        if answer is None:
            return self._error(line)
        # A stub is an absent key to every client but its filler.
        return Answer.MISS if self._item(parts).stub else answer

    def _item(self, parts: list[bytes]) -> Value:
        """The flags of a reply, checked to be the reply to the command whose turn it is."""
        flags, cas, won, stub, opaque = 0, 0, False, False, -1
        ttl: int | None = None
        try:
            for part in parts:
                kind, digits = part[0], part[1:]
                if kind == 87:  # W
                    won = stub = True
                elif kind == 90:  # Z
                    stub = True
                elif kind not in b"Oftc" or part == b"t-1":
                    pass
                elif not digits.isdigit():  # int() takes more than digits.
                    raise ValueError
                elif kind == 79:  # O
                    opaque = int(digits)
                elif kind == 102:  # f
                    flags = int(digits)
                elif kind == 116:  # t
                    ttl = int(digits)
                else:
                    cas = int(digits)
        except (ValueError, IndexError):
            raise ProtocolViolation(f"the flags {b' '.join(parts)[:80]!r}") from None
        if opaque != self._opaque + len(self.replies):
            raise ProtocolViolation("a reply to another command")
        if flags >= 2**32 or cas >= _TWO_64:
            raise ProtocolViolation("a number out of range")
        return Value(None, flags, ttl, Token(cas, self._connection) if cas else None, won, stub)

    def _error(self, line: bytes) -> Refused:
        arithmetic = type(self._commands[len(self.replies)]) is Arithmetic
        no_number = arithmetic and line.startswith(b"CLIENT_ERROR cannot increment")
        if no_number or line.startswith(b"SERVER_ERROR"):
            self.refused = True
            return Refused(line.decode("ascii", "replace"), unchanged=no_number)
        raise ProtocolViolation(f"{line[:80]!r}")


parser = ReplyParser
