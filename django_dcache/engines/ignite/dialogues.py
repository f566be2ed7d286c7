"""What is said to a server about one command, step by step: each depends on what the one before it has brought.

A dialogue yields (operation, body) and is sent the reply's body, or Failed; it returns the reply to the command. Ignite
has no scripts: what has to be one step is a compare-and-set with the bytes that were seen (items.py), and a count is
tried until no other client came between.
"""

import re
from collections.abc import Generator
from time import time

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
from ..lifetime import milliseconds
from . import clear
from .frames import (
    NULL,
    TOO_LARGE,
    Failed,
    Operation,
    expiring,
    held,
    keeping,
    key,
    octets,
    plain,
    yes,
)
from .items import Item, new_stub, pack, unpack

Step = tuple[int, bytes]
Heard = bytes | Failed
Dialogue = Generator[Step, Heard, Reply]

MOST_TRIES = 100
"""Of a count, a touch, or a read that may leave a stub: other clients come between each time."""
MODULO = 2**64
_number = re.compile(rb"\d{1,20}").fullmatch
_NO_NUMBER = Refused("it holds no number that can be counted with", unchanged=True)
_FOREIGN = Refused("other software keeps something else under this key", unchanged=True)
_CONTENDED = Refused("other clients changed it each time", unchanged=True)


class _Said(Exception):
    """A server's error, as the reply to the command."""

    def __init__(self, reply: Refused):
        self.reply = reply


def ends(left: int | None) -> int:
    """The end of an item with this number of milliseconds left, as it says it."""
    return 0 if left is None else int(time() * 1000) + left


def begin(cache: bytes, asked: Command) -> Dialogue:
    """The dialogue about a command, on the cache with this id."""
    try:
        if isinstance(asked, Flush):
            return (yield from clear.flush(cache, asked.beginning))
        name = key(wire_key(asked.name, asked.generation))
        if type(asked) is Get:
            return (yield from _get(cache, name, asked))
        if type(asked) is Store:
            return (yield from _store(cache, name, asked))
        if type(asked) is Remove:
            return (yield from _remove(cache, name, asked))
        if type(asked) is Touch:
            return (yield from _touch(cache, name, asked))
        assert type(asked) is Arithmetic
        return (yield from _count(cache, name, asked))
    except _Said as said:
        return said.reply


def _sound(heard: Heard) -> bytes:
    if isinstance(heard, Failed):
        raise _Said(Refused(heard.words or f"status {heard.status}"))
    return heard


def _item(body: bytes) -> Item | None:
    """What is stored. Raises _Said where that is nothing of ours."""
    if body == NULL:
        return None
    stored = held(body)
    found = None if stored is None else unpack(stored)
    if found is None:
        raise _Said(_FOREIGN)
    return found


def _look(cache: bytes, name: bytes) -> Generator[Step, Heard, Item | None]:
    return _item(_sound((yield Operation.GET, plain(cache) + name)))


def _swap(begins: bytes, name: bytes, seen: Item, new: bytes) -> Generator[Step, Heard, bool]:
    """Whether that very item is replaced now."""
    return yes(_sound((yield Operation.REPLACE_IF_EQUALS, begins + name + octets(seen.raw) + new)))


def _get(cache: bytes, name: bytes, asked: Get) -> Dialogue:
    heard = yield Operation.GET, plain(cache) + name
    if heard is TOO_LARGE:
        return Answer.MISS
    found = _item(_sound(heard))
    won = False
    if found is None and asked.lease:
        left = LEASE_SECONDS * 1000
        stub = new_stub(ends(left))
        heard = yield Operation.GET_AND_PUT_IF_ABSENT, expiring(cache, left) + name + octets(stub)
        if isinstance(heard, Failed):  # A server that is full has no lease to give: that is a plain miss.
            return Answer.MISS
        found = _item(heard)
        if found is None:
            found, won = unpack(stub), True
    if found is None:
        return Answer.MISS
    return Value(
        found.data if asked.value else None,
        found.flags,
        found.seconds_left(time()) if asked.ttl else None,
        Token(found.unique, 0) if asked.token or asked.lease else None,
        won,
        found.stub,
    )


def _store(cache: bytes, name: bytes, asked: Store) -> Dialogue:
    left = milliseconds(asked.ttl)
    begins, new = expiring(cache, left), pack(asked.flags, asked.data, ends(left))
    if asked.token:
        found = yield from _look(cache, name)
        if found and found.unique == asked.token.cas and (yield from _swap(begins, name, found, new)):
            return Answer.DONE
        return (yield from _void(cache, name))
    if asked.add:
        added = yes(_sound((yield Operation.PUT_IF_ABSENT, begins + name + new)))
        return Answer.DONE if added else Answer.NOT_STORED
    _nothing(_sound((yield Operation.PUT, begins + name + new)))
    return Answer.DONE


def _remove(cache: bytes, name: bytes, asked: Remove) -> Dialogue:
    if asked.token:
        found = yield from _look(cache, name)
        if found and found.unique == asked.token.cas:
            body = plain(cache) + name + octets(found.raw)
            if yes(_sound((yield Operation.REMOVE_IF_EQUALS, body))):
                return Answer.DONE
        return (yield from _void(cache, name))
    removed = yes(_sound((yield Operation.REMOVE_KEY, plain(cache) + name)))
    return Answer.DONE if removed else Answer.MISS


def _void(cache: bytes, name: bytes) -> Dialogue:
    """Why a token was of no use."""
    return Answer.CONFLICT if (yield from _look(cache, name)) else Answer.MISS


def _touch(cache: bytes, name: bytes, asked: Touch) -> Dialogue:
    left = milliseconds(asked.ttl)
    for _ in range(MOST_TRIES):
        found = yield from _look(cache, name)
        if found is None or found.stub:
            return Answer.MISS
        new = pack(found.flags, found.data, ends(left), found.unique)
        if (yield from _swap(expiring(cache, left), name, found, new)):
            return Answer.DONE
    return _CONTENDED


def _count(cache: bytes, name: bytes, asked: Arithmetic) -> Dialogue:
    for _ in range(MOST_TRIES):
        found = yield from _look(cache, name)
        if found is None or found.stub:
            return Answer.MISS
        if asked.token and found.unique != asked.token.cas:
            return Answer.CONFLICT
        if not _number(found.data):
            return _NO_NUMBER
        data = b"%d" % ((int(found.data) + asked.delta) % MODULO)
        if (yield from _swap(keeping(cache), name, found, pack(found.flags, data, found.ends))):
            return Value(data)
    return _CONTENDED


def _nothing(body: bytes) -> None:
    if body:
        raise ProtocolViolation(f"{body[:20]!r} as the reply to a write")
