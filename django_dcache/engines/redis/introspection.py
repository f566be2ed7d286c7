"""What Redis says of itself and of its keys: the requests, and what is made of the answers. Pure bytes."""

import re
from collections.abc import Sequence
from typing import Any

from ...errors import ProtocolViolation
from ...model.state import is_mark_key
from ..inspection import Introspection, ItemFacts, NodeReply, NotListed, Raw, word
from . import bulk_fill
from .health import checks, round_trip, unsuitable
from .items import unpack
from .resp import Error, Reader, command

MAX_DOCUMENT_BYTES = 2**22
MAX_STATISTICS = 1000
FEW_KEYS = 16
PAGE_KEYS = 500
MAX_PAGE_KEYS = 100_000
"""A server may tell more keys at once than it was asked for, when its table is small or grows."""


_calls = re.compile(r"calls=(\d{1,19}),").match


class RedisReply(NodeReply):
    """By the names of INFO and CONFIG."""

    __slots__ = ()

    @property
    def items(self) -> int | None:
        """Without the marks that greetings leave, where there is little else: an empty node has none."""
        size = self.number("dbsize")
        return None if size is None else max(0, size - (self.number("marks") or 0))

    @property
    def used_bytes(self) -> int | None:
        return self.number("used_memory")

    @property
    def limit_bytes(self) -> int | None:
        return self.number("maxmemory") or None

    @property
    def hits(self) -> int | None:
        return self._without_polls("keyspace_hits")

    @property
    def misses(self) -> int | None:
        return self.number("keyspace_misses")

    @property
    def operations(self) -> int | None:
        return self._without_polls("total_commands_processed")

    def _without_polls(self, name: str) -> int | None:
        """Without reads of the fleet's state, which have a command of their own (protocol.py)."""
        count, polls = self.number(name), _calls(self.statistics.get("cmdstat_getrange", ""))
        return None if count is None else max(0, count - int(polls[1] if polls else 0))

    @property
    def evictions(self) -> int | None:
        return self.number("evicted_keys")

    @property
    def connections(self) -> int | None:
        return self.number("connected_clients")

    @property
    def uptime_seconds(self) -> int | None:
        return self.number("uptime_in_seconds")

    @property
    def clock(self) -> int | None:
        return self.number("time")


class Report:
    """Asks for everything in a NodeReply. What the login may not ask is left out of it."""

    def __init__(self, keys: Sequence[bytes]):
        self._keys = keys
        asks = [command(b"INFO"), command(b"CONFIG", b"GET", b"max*"), command(b"DBSIZE"), command(b"TIME")]
        asks.append(command(b"SCAN", b"0", b"COUNT", b"%d" % FEW_KEYS))
        asks.append(command(b"INFO", b"commandstats"))
        asks += [command(b"GETRANGE", key, b"0", b"-1") for key in keys]
        self.request = b"".join(asks)
        self._reader = Reader(len(asks), MAX_DOCUMENT_BYTES, MAX_PAGE_KEYS)
        self._complete = False

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once every reply is there. Raises ProtocolViolation."""
        self._complete = self._reader.feed(chunk)
        return self._complete

    @property
    def reply(self) -> RedisReply:
        reply = RedisReply()
        raw: list[Any] = [*self._reader.raw, None, None, None, None, None, None]
        (info, config, size, time, some, calls), documents = raw[:6], raw[6:]
        reply.statistics = _statistics(info) | _statistics(calls)
        reply.version = _version(reply.statistics)
        if isinstance(config, list):
            pairs = zip(config[::2], config[1::2], strict=False)
            reply.settings = {word(a): word(b) for a, b in pairs if type(a) is type(b) is bytes}
        if type(size) is int:
            reply.statistics["dbsize"] = str(size)
        if isinstance(time, list) and time and type(time[0]) is bytes:
            reply.statistics["time"] = word(time[0])
        if marks := _marks(some):
            reply.statistics["marks"] = str(marks)
        for key, stored in zip(self._keys, documents, strict=False):
            if type(stored) is bytes and stored:
                reply.documents[key] = unpack(stored)[1]
        if not self._complete:
            reply.complaint = "the answer stops in the middle"
        elif type(info) is Error:
            reply.complaint = word(info)
        return reply


def _statistics(info: Any) -> dict[str, str]:
    if type(info) is not bytes:
        return {}
    lines = [line.partition(b":") for line in info.split(b"\r\n")[:MAX_STATISTICS] if not line.startswith(b"#")]
    return {word(name): word(value) for name, colon, value in lines if colon}


def _marks(page: Any) -> int:
    """How many of a few keys are marks (greeting.py); 0 where the page has not all keys, which are many then."""
    match page:
        case [b"0", [*keys]]:
            return sum(type(key) is bytes and is_mark_key(key) for key in keys)
    return 0


def _version(statistics: dict[str, str]) -> str:
    if valkey := statistics.get("valkey_version"):
        return f"valkey {valkey}"
    return statistics.get("redis_version", "")


# A listing of a node's keys: a live walk, so some may be missing and some come twice


class Listing:
    """One walk, page by page: a page's keys, then what is known of each, beside the next page. Nothing of it counts as
    a use of an item."""

    def __init__(self) -> None:
        self.over = False
        self._keys: list[bytes] = []
        """Those of the page whose facts are under way."""
        self._now = -1
        self._ask([command(b"TIME"), _scan(b"0")])

    def _ask(self, asks: list[bytes]) -> None:
        self.request = b"".join(asks)
        self._reader = Reader(len(asks), 2**20, MAX_PAGE_KEYS)

    def feed(self, chunk: bytes) -> list[Raw]:
        """The items in what came. Raises NotListed, ProtocolViolation."""
        if not self._reader.feed(chunk):
            return []
        if self._reader.rest:
            raise ProtocolViolation("more was said than asked for")
        replies = self._reader.raw
        if self._now < 0:
            time = replies.pop(0)
            self._now = int(time[0]) if isinstance(time, list) and time and bytes(time[0]).isdigit() else 0
        facts, rest = replies[: 2 * len(self._keys)], replies[2 * len(self._keys) :]
        items = [(key, self._said(*facts[2 * n : 2 * n + 2])) for n, key in enumerate(self._keys)]
        self._keys = []
        if rest:
            self._page(rest[0])
        else:
            self.over = True
        return items

    def _page(self, page: Any) -> None:
        if type(page) is Error:
            raise NotListed(word(page))
        if not isinstance(page, list) or len(page) != 2 or not isinstance(page[1], list):
            raise ProtocolViolation("that is no page of keys")
        cursor, keys = page
        if type(cursor) is not bytes or not cursor.isdigit() or not all(type(key) is bytes for key in keys):
            raise ProtocolViolation("that is no page of keys")
        self._keys = keys
        asks = [part for key in keys for part in (command(b"OBJECT", b"IDLETIME", key), _usage(key))]
        if cursor != b"0":
            asks.append(_scan(cursor))
        self.over = not asks
        if asks:
            self._ask(asks)

    def _said(self, idle: Any, size: Any) -> bytes:
        accessed = self._now - idle if type(idle) is int and self._now else 0
        return b"%d %d" % (max(0, accessed), size if type(size) is int else 0)


def _scan(cursor: bytes) -> bytes:
    return command(b"SCAN", cursor, b"COUNT", b"%d" % PAGE_KEYS, b"TYPE", b"string")


def _usage(key: bytes) -> bytes:
    return command(b"MEMORY", b"USAGE", key, b"SAMPLES", b"0")


_facts = re.compile(rb"(\d{1,12}) (\d{1,12})").fullmatch


def item_facts(said: bytes) -> ItemFacts:
    """What a listing says of one item; zeros if it can't be read. A server does not tell reads from writes."""
    match = _facts(said)
    return ItemFacts(int(match[1]), True, int(match[2])) if match else ItemFacts(0, False, 0)


INTROSPECTION = Introspection(Report, Listing, item_facts, checks, round_trip, unsuitable, bulk_fill)
