"""One memcached as the commands of `wire` see it (1.6.18): leases and their stubs, CAS, TTL in whole seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from django_dcache.commands import (
    LEASE_SECONDS,
    Answer,
    Arithmetic,
    Command,
    Flush,
    Get,
    Refused,
    Reply,
    Store,
    Token,
    Touch,
    Value,
)
from django_dcache.model.keys import RESERVED, wire_key


@dataclass(slots=True)
class Item:
    data: bytes
    flags: int
    expires: int | None
    cas: int
    stub: bool


class Node:
    """Its numbers for CAS begin again with every start, as memcached's do."""

    def __init__(self, name: str, clock: Callable[[], float]):
        self.name, self._clock = name, clock
        self.items: dict[bytes, Item] = {}
        self.incarnation, self._cas = 0, 0
        self.keeps_documents = False
        """Emptied, it keeps what is about the fleet, as Redis does."""
        self.away_until = 0.0
        """Until then nobody can connect; what it holds survives."""

    def restart(self) -> None:
        """Come back empty; every connection is gone."""
        self.items, self._cas, self.incarnation = {}, 0, self.incarnation + 1

    def evictable(self) -> list[bytes]:
        return [key for key in self.items if not key.startswith(RESERVED)]

    def execute(self, command: Command, connection: int) -> Reply:
        if type(command) is Flush:
            kept = [key for key in self.items if self.keeps_documents and key.startswith(RESERVED)]
            self.items = {key: self.items[key] for key in kept}
            return Answer.DONE
        key = wire_key(command.name, command.generation)
        item = self._live(key)
        if type(command) is Get:
            return self._get(command, key, item, connection)
        if type(command) is Touch:
            if item is None:
                return Answer.MISS
            item.expires = self._deadline(command.ttl)
            return Answer.MISS if item.stub else Answer.DONE
        if type(command) is Arithmetic:
            if item is None:
                return Answer.MISS
            if command.token and item.cas != command.token.cas:
                return Answer.CONFLICT
            if item.stub or not item.data.rstrip(b" ").isdigit() or int(item.data) >= 2**64:
                return Refused("CLIENT_ERROR cannot increment or decrement non-numeric value", unchanged=True)
            number = b"%d" % ((int(item.data) + command.delta) % 2**64)
            self._cas += 1
            item.data, item.cas = number.ljust(len(item.data)), self._cas
            return Value(number)
        if type(command) is Store and command.add:
            if item is not None:
                return Answer.NOT_STORED
        elif command.token is not None:
            if item is None:
                return Answer.MISS
            if item.cas != command.token.cas:
                return Answer.CONFLICT
        if type(command) is Store:
            self._link(key, command.data, command.flags, self._deadline(command.ttl))
            return Answer.DONE
        return Answer.DONE if self.items.pop(key, None) else Answer.MISS

    def _get(self, command: Get, key: bytes, item: Item | None, connection: int) -> Reply:
        won = item is None and command.lease
        if item is None:
            if not won:
                return Answer.MISS
            item = self._link(key, b"", 0, self._deadline(LEASE_SECONDS), stub=True)
        left = None if item.expires is None or not command.ttl else item.expires - int(self._clock())
        token = Token(item.cas, connection) if command.token or command.lease else None
        return Value(item.data if command.value else None, item.flags, left, token, won, item.stub)

    def _live(self, key: bytes) -> Item | None:
        item = self.items.get(key)
        if item and item.expires is not None and item.expires <= int(self._clock()):
            del self.items[key]
            return None
        return item

    def _link(self, key: bytes, data: bytes, flags: int, expires: int | None, stub: bool = False) -> Item:
        self._cas += 1
        item = self.items[key] = Item(data, flags, expires, self._cas, stub)
        return item

    def _deadline(self, ttl: float | None) -> int | None:
        return None if ttl is None else int(self._clock()) + ceil(ttl)
