"""Commands and replies of Redis 6.2 and Valkey 7.2 or later. Pure bytes, no socket.

Replies carry no number: their order alone says what they answer. So a connection over which anything is unanswered, or
was sent that was not asked for, is never used again.
"""

from collections.abc import Sequence
from typing import Any, TypeGuard

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
from .. import lifetime
from . import scripts
from .items import OVERHEAD_BYTES, is_stub, new_stub, pack, token, token_digits, unpack
from .resp import PARTS, TOO_LARGE, Error, Reader, Status, command

LATE_MILLISECONDS = 1
"""A server keeps an item to the end of the millisecond in which its TTL is over."""
SMALL_KEYS = 100_000
"""A database with up to this number of keys is cleared in one step, in less than a tenth of a second."""
UNUSABLE = (b"LOADING", b"BUSY", b"READONLY", b"MASTERDOWN", b"NOAUTH", b"UNKILLABLE", b"CLUSTERDOWN", b"MOVED")
"""Errors of a server that is no node now: it reads its data from disk, hangs in a script, or has become a replica."""
_LEASE_MILLISECONDS = b"%d" % (LEASE_SECONDS * 1000)
_CODES = {scripts.MISS: Answer.MISS, scripts.CONFLICT: Answer.CONFLICT, scripts.DONE: Answer.DONE}
_NO_NUMBER = Refused("it holds no number that the node can count with", unchanged=True)


def milliseconds(ttl: float | None) -> bytes:
    """How long a server is told to keep an item with this TTL (seconds above 0, or None); nothing: for ever."""
    told = lifetime.milliseconds(ttl, LATE_MILLISECONDS)
    return b"" if told is None else b"%d" % told


def encode(commands: Sequence[Command], first: int, now: float) -> bytes:
    """The bytes of a batch."""
    if _are_plain_reads(commands):
        return command(b"MGET", *[wire_key(asked.name, asked.generation) for asked in commands])
    return b"".join([_encode(command) for command in commands])


def _are_plain_reads(commands: Sequence[Command]) -> TypeGuard[Sequence[Get]]:
    """One command reads them all, in a third of the time that many take the node."""
    return len(commands) > 1 and all(type(asked) is Get and _is_plain(asked) for asked in commands)


def _is_plain(asked: Get) -> bool:
    """A token is made of the value, here as well as there."""
    return asked.value and not (asked.ttl or asked.lease or asked.uncounted)


def _encode(asked: Command) -> bytes:
    if isinstance(asked, Flush):
        return _script(scripts.CLEAR, b"", asked.beginning, b"%d" % SMALL_KEYS)
    key = wire_key(asked.name, asked.generation)
    if type(asked) is Get:
        if _is_plain(asked):
            return command(b"GET", key)
        if asked.uncounted:
            # A hit to Redis as any read is; but it counts the calls of each command, and this one is ours alone.
            return command(b"GETRANGE", key, b"0", b"-1" if asked.value else b"21")
        lease, stub = (_LEASE_MILLISECONDS, new_stub()) if asked.lease else (b"0", b"")
        return _script(scripts.READ, key, lease, stub, b"1" if asked.value else b"0")
    if type(asked) is Store:
        stored, ends = pack(asked.flags, asked.data), milliseconds(asked.ttl)
        if asked.token:
            return _script(scripts.STORE, key, token_digits(asked.token.cas), stored, ends)
        return command(b"SET", key, stored, *((b"PX", ends) if ends else ()), *((b"NX",) if asked.add else ()))
    if type(asked) is Remove:
        if asked.token:
            return _script(scripts.REMOVE, key, token_digits(asked.token.cas))
        return command(b"UNLINK", key)
    if type(asked) is Touch:
        return _script(scripts.TOUCH, key, milliseconds(asked.ttl))
    assert type(asked) is Arithmetic
    condition = token_digits(asked.token.cas) if asked.token else b""
    return _script(scripts.COUNT, key, b"%d" % asked.delta, condition)


def _script(script: bytes, key: bytes, *arguments: bytes) -> bytes:
    return command(b"EVAL", script, b"1", key, *arguments)


class ReplyParser(Reader):
    """The replies to one batch of commands."""

    __slots__ = ("replies", "_commands", "_at_once")

    request = b""
    refused = False
    """An error is the reply to the command whose turn it is."""

    def __init__(self, commands: Sequence[Command], first: int, connection: int, most: int):
        super().__init__(len(commands), most + OVERHEAD_BYTES, max(PARTS, len(commands)))
        self.replies: list[Reply] = []
        self.raw = self.replies
        self._commands, self._at_once = commands, _are_plain_reads(commands)

    @property
    def complete(self) -> bool:
        return len(self.replies) == len(self._commands)

    @property
    def tainted(self) -> bool:
        """The replies can be trusted, the connection can't any more."""
        return self.rest > 0

    def _take(self, value: Any) -> None:
        if type(value) is Error:
            if value.kind in UNUSABLE:
                raise ProtocolViolation(value[:200].decode("ascii", "replace"))
            refused = Refused(value[:200].decode("ascii", "replace"))
            self.replies += [refused] * (len(self._commands) if self._at_once else 1)
        elif not self._at_once:
            self._answer(value)
        elif type(value) is list and len(value) == len(self._commands):
            for part in value:
                self._answer(part)
        else:
            raise ProtocolViolation(f"{value!r:.80} as the reply to {len(self._commands)} reads")

    def _answer(self, value: Any) -> None:
        asked = self._commands[len(self.replies)]
        reply = _reply(asked, value)
        if reply is None:
            raise ProtocolViolation(f"{value!r:.80} as the reply to {type(asked).__name__}")
        self.replies.append(reply)


parser = ReplyParser


def _reply(asked: Command, value: Any) -> Reply | None:
    """None for what can't be the reply to it."""
    if type(asked) is Get:
        return _item(asked, value)
    if type(asked) is Store and not asked.token:
        if asked.add and value is None:
            return Answer.NOT_STORED
        return Answer.DONE if type(value) is Status and value == b"OK" else None
    if type(asked) is Remove and not asked.token:
        return {0: Answer.MISS, 1: Answer.DONE}.get(value) if type(value) is int else None
    if type(asked) is Flush and value == scripts.CONFLICT:
        return Refused("there is too much to be cleared in one step")
    if type(value) is int:
        return _NO_NUMBER if value == scripts.NO_NUMBER and type(asked) is Arithmetic else _CODES.get(value)
    if type(asked) is Arithmetic and type(value) is bytes and value.isdigit() and len(value) < 20:
        return Value(value)
    return None


def _item(asked: Get, found: Any) -> Reply | None:
    if found is None or found is TOO_LARGE or (asked.uncounted and found == b""):
        return Answer.MISS
    if type(found) is bytes:
        this = Token(token(found), 0) if asked.token else None
        if is_stub(found):
            return Value(b"", token=this, stub=True)
        flags, data = unpack(found)
        return Value(data if asked.value else None, flags, token=this)
    if type(found) is not list or len(found) != (3 if asked.value else 4):
        return None
    stored, left, won = found[:3]
    if stored is TOO_LARGE:
        return Answer.MISS
    if type(stored) is not bytes or type(left) is not int or won not in (0, 1) or (won and not asked.lease):
        return None
    ttl = left / 1000 if asked.ttl and left >= 0 else None
    this = None
    if asked.token or asked.lease:
        cas = token(stored) if asked.value else _token(found[3])
        if cas is None:
            return None
        this = Token(cas, 0)
    if is_stub(stored):
        return Value(b"" if asked.value else None, 0, ttl, this, bool(won), True)
    if won:
        return None
    flags, data = unpack(stored)
    return Value(data if asked.value else None, flags, ttl, this)


def _token(digits: Any) -> int | None:
    try:
        return int(digits[:16], 16) if type(digits) is bytes and len(digits) == 40 else None
    except ValueError:
        return None
