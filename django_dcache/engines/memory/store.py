"""What a node in memory holds, what it answers, and the stream by which it is spoken to."""

import os
import pickle
import threading
from collections.abc import Callable
from io import BytesIO
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

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
from ...errors import NodeUnreachable
from ...model.keys import RESERVED
from ...model.topology import Node

MOST = 2**64
STUB_FLAGS = -1


class Item(NamedTuple):
    data: bytes
    flags: int
    """STUB_FLAGS: a client holds a lease, and there is no value."""
    ends: float
    """By the store's clock."""
    cas: int


class MemoryStore:
    """One node. `running`, once false, lets no client in, and ends the dialogues of those that are."""

    def __init__(self, clock: Callable[[], float] = monotonic):
        self.running = True
        self.items: dict[tuple[bytes, int], Item] = {}
        self._clock, self._cas = clock, count(1)
        self._lock = threading.Lock()

    def execute(self, commands: list[Command]) -> list[Reply]:
        with self._lock:
            return [self._execute(command) for command in commands]

    def _execute(self, command: Command) -> Reply:
        if isinstance(command, Flush):
            self.items = {key: item for key, item in self.items.items() if key[0].startswith(RESERVED)}
            return Answer.DONE
        key = command.name, command.generation
        item = self.items.get(key)
        if item and item.ends <= self._clock():
            item = self.items.pop(key) and None
        if isinstance(command, Get):
            return self._get(command, key, item)
        if isinstance(command, Store):
            if command.add and item:
                return Answer.NOT_STORED
            if verdict := _void(command.token, item):
                return verdict
            self._put(key, command.data, command.flags, command.ttl)
            return Answer.DONE
        if isinstance(command, Remove):
            if verdict := _void(command.token, item):
                return verdict
            return Answer.DONE if self.items.pop(key, None) else Answer.MISS
        if item is None or item.flags == STUB_FLAGS:
            return Answer.MISS
        if isinstance(command, Touch):
            self.items[key] = item._replace(ends=self._ends(command.ttl))
            return Answer.DONE
        assert isinstance(command, Arithmetic)
        if verdict := _void(command.token, item):
            return verdict
        if not item.data.isdigit():
            return Refused("it holds no number that the node can count with", unchanged=True)
        data = b"%d" % ((int(item.data) + command.delta) % MOST)
        self.items[key] = item._replace(data=data, cas=next(self._cas))
        return Value(data)

    def _get(self, command: Get, key: tuple[bytes, int], item: Item | None) -> Reply:
        won = item is None and command.lease
        if won:
            item = self._put(key, b"", STUB_FLAGS, LEASE_SECONDS)
        if item is None:
            return Answer.MISS
        stub = item.flags == STUB_FLAGS
        left = item.ends - self._clock()
        return Value(
            item.data if command.value else None,
            0 if stub else item.flags,
            left if command.ttl and left < float("inf") else None,
            Token(item.cas, 0) if command.token or command.lease else None,
            won,
            stub,
        )

    def _put(self, key: tuple[bytes, int], data: bytes, flags: int, ttl: float | None) -> Item:
        item = self.items[key] = Item(data, flags, self._ends(ttl), next(self._cas))
        return item

    def _ends(self, ttl: float | None) -> float:
        return float("inf") if ttl is None else self._clock() + ttl


def _void(token: Token | None, item: Item | None) -> Answer | None:
    """Why a command with this token does nothing."""
    if token is None:
        return None
    return Answer.MISS if item is None else Answer.CONFLICT if item.cas != token.cas else None


_stores: dict[str, MemoryStore] = {}


def store_of(name: str) -> MemoryStore:
    """The node of this name; made when it is first asked for."""
    return _stores.setdefault(name, MemoryStore())


def connect(node: Node) -> "MemoryStream":
    """A connection to a node. Raises NodeUnreachable if it does not run."""
    store = store_of(str(node.endpoints[0][0]))
    if not store.running:
        raise NodeUnreachable("it was stopped", node=node.name)
    return MemoryStream(store)


class MemoryStream:
    """As much of a socket as a connection needs. What is sent is answered at once; a pipe tells pollers that there is
    something to read."""

    def __init__(self, store: MemoryStore):
        self._store, self._inbox = store, b""
        self._reader, self._writer = os.pipe()

    def send(self, data: Any) -> int:
        if not self._store.running:
            raise ConnectionResetError("the node was stopped")
        batches, replies = BytesIO(bytes(data)), []
        while batches.tell() < len(data):
            replies.append(pickle.dumps(self._store.execute(pickle.load(batches))))  # What this process has sent.
        if not self._inbox:
            os.write(self._writer, b"\0")
        self._inbox += b"".join(replies)
        return len(data)

    def recv(self, size: int) -> bytes:
        """Everything there is: a batch's replies are not cut."""
        if not self._inbox:
            if not self._store.running:
                return b""
            raise BlockingIOError
        data, self._inbox = self._inbox, b""
        os.read(self._reader, 1)
        return data

    def fileno(self) -> int:
        return self._reader

    def setblocking(self, _: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        if self._writer >= 0:
            os.close(self._writer)
            os.close(self._reader)
            self._reader = self._writer = -1

    def detach(self) -> int:
        """Let go of what is a parent's; the descriptor that is left to be closed."""
        reader, self._reader = self._reader, -1
        os.close(self._writer)
        self._writer = -1
        return reader
