"""What memcached says of itself and of its keys: the requests, and what is made of the answers. Pure bytes.

A node is hostile input: whatever it says is cut to size, checked, and kept as printable text until a number is asked
for. Who sends and receives is `dcache_manager.inspection`.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from ...errors import ProtocolViolation
from ..inspection import ItemFacts, NodeReply, NotListed, Raw, word

OLDEST = (1, 6, 18)
"""The oldest version that is supported."""
OPERATIONS = ("cmd_set", *(f"{verb}_{end}" for verb in ("get", "delete", "incr", "decr") for end in ("hits", "misses")))
"""The statistics that count them. Polls of the fleet's state are touches, which are left out."""
TAIL_BYTES = 500
"""How much of an answer's end is looked at to see whether it is complete."""


# A node's report on itself


class MemcachedReply(NodeReply):
    """By the names of memcached's own statistics."""

    __slots__ = ()

    @property
    def items(self) -> int | None:
        return self.number("curr_items")

    @property
    def used_bytes(self) -> int | None:
        return self.number("bytes")

    @property
    def limit_bytes(self) -> int | None:
        return self.number("limit_maxbytes")

    @property
    def max_item_bytes(self) -> int | None:
        return self.number("item_size_max")

    @property
    def hits(self) -> int | None:
        return self.number("get_hits")

    @property
    def misses(self) -> int | None:
        return self.number("get_misses")

    @property
    def operations(self) -> int | None:
        known = [number for name in OPERATIONS if (number := self.number(name)) is not None]
        return sum(known) if known else None

    @property
    def evictions(self) -> int | None:
        return self.number("evictions")

    @property
    def connections(self) -> int | None:
        return self.number("curr_connections")

    @property
    def uptime_seconds(self) -> int | None:
        return self.number("uptime")

    @property
    def clock(self) -> int | None:
        return self.number("time")


class Report:
    """Asks for everything in a NodeReply."""

    def __init__(self, keys: Sequence[bytes]):
        # `gat 0`: an item that never expires is not changed by it, and the read is no hit in the node's statistics.
        gets = [b"get %b\r\n" % key if number else b"gat 0 %b\r\n" % key for number, key in enumerate(keys)]
        self.request = b"stats\r\nstats settings\r\n" + b"".join(gets) + b"version\r\n"
        self._keys, self._answer = keys, bytearray()

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the last line is the reply to the last command."""
        self._answer += chunk
        tail = bytes(self._answer[-TAIL_BYTES:])
        return tail.endswith(b"\r\n") and tail[:-2].rpartition(b"\n")[2].startswith(b"VERSION ")

    @property
    def reply(self) -> MemcachedReply:
        return parse_report(bytes(self._answer), self._keys)


def parse_report(answer: bytes, keys: Sequence[bytes]) -> MemcachedReply:
    """The answer to `Report(keys)`, as far as it makes sense."""
    reply = MemcachedReply()
    try:
        reply.statistics, rest = _table(answer)
        reply.settings, rest = _table(rest)
        for key in keys:
            value, rest = _value(rest, key)
            if value is not None:
                reply.documents[key] = value
        line, _ = _line(rest)
        if not line.startswith(b"VERSION "):
            raise _Nonsense(f"{word(line)!r} instead of a version")
        reply.version = word(line[8:])
    except _Nonsense as nonsense:
        reply.complaint = str(nonsense)
    return reply


def version_numbers(version: str) -> tuple[int, int, int] | None:
    """(1, 6, 18) of "1.6.18_ubuntu"; None if it is no version of memcached."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def unsuitable(version: str) -> str:
    """Why a node of this version can't be used; empty if it can."""
    if (version_numbers(version) or (0, 0, 0)) >= OLDEST:
        return ""
    return f"it runs version {version or '(unknown)'}; the oldest supported is {'.'.join(map(str, OLDEST))}"


class _Nonsense(Exception):
    """What follows can't be read."""


_refused = (b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, end, rest = data.partition(b"\r\n")
    if not end:
        raise _Nonsense("the answer stops in the middle")
    return line, rest


def _table(data: bytes) -> tuple[dict[str, str], bytes]:
    """The lines of a table until its end; none where the node refuses to tell."""
    found: dict[str, str] = {}
    while True:
        line, data = _line(data)
        if line == b"END" or (not found and line.startswith(_refused)):
            return found, data
        kind, _, pair = line.partition(b" ")
        name, _, value = pair.partition(b" ")
        if kind != b"STAT" or not name:
            raise _Nonsense(f"{word(line)!r} among the statistics")
        found[word(name)] = word(value)


def _value(data: bytes, key: bytes) -> tuple[bytes | None, bytes]:
    """The reply about one document."""
    line, data = _line(data)
    if line == b"END" or line.startswith(_refused):
        return None, data
    head, _, size = line.rpartition(b" ")
    if not head.startswith(b"VALUE %b " % key) or not size.isdigit() or len(size) > 8:
        raise _Nonsense(f"{word(line)!r} instead of a value")
    value, tail = data[: int(size)], data[int(size) :]
    if not tail.startswith(b"\r\nEND\r\n"):
        raise _Nonsense("a value that does not end where it should")
    return value, tail[7:]


# A listing of a node's keys: a live walk, so some may be missing and some come twice

LIST_KEYS = b"lru_crawler metadump hash\r\n"
ENABLE_LISTING = b"lru_crawler enable\r\n"
"""For a node that was started with no_lru_crawler."""

_item = re.compile(rb"key=(\S+) (.+)\n")
_facts = re.compile(rb"exp=-?\d+ la=(\d+) cas=\d+ fetch=(yes|no) cls=\d+ size=(\d+)")


MAX_LINE_BYTES = 65536


class Listing:
    """One walk. A node that was started with no_lru_crawler is told to enable it, once."""

    def __init__(self) -> None:
        self.request = LIST_KEYS
        self.over = False
        self._refusal = ""
        self._enabling = False
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Raw]:
        """The items in what came. Raises NotListed, ProtocolViolation."""
        lines, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise ProtocolViolation("a line without an end")
        self.request = b""
        if not newline:
            return []
        text = lines + newline
        if self._enabling and text != b"OK\r\n":
            raise NotListed(self._refusal)
        if self._enabling:
            self._enabling, self.request = False, LIST_KEYS
            return []
        if text.startswith((b"BUSY", *_refused)):
            again, self._refusal = bool(self._refusal), word(text.strip())
            if text.startswith(b"CLIENT_ERROR") and b"disabled" in text and not again:
                self._enabling, self.request = True, ENABLE_LISTING
                return []
            raise NotListed(self._refusal, busy=text.startswith(b"BUSY"))
        self.over = text.endswith(b"END\r\n")
        return listed_items(text)


def listed_items(text: bytes) -> list[Raw]:
    """The items in some whole lines of a listing."""
    # Keys are percent-encoded, and Django's are full of colons: those are decoded all at once.
    text = text.replace(b"%3A", b":")
    items: list[Raw] = _item.findall(text)
    if b"%" in text:
        items = [(unquote_to_bytes(key) if b"%" in key else key, said) for key, said in items]
    return items


def item_facts(said: bytes) -> ItemFacts:
    """What a listing says of one item; zeros if it can't be read."""
    match = _facts.match(said)
    return ItemFacts(int(match[1]), match[2] == b"yes", int(match[3])) if match else ItemFacts(0, False, 0)
