"""What memcached says of itself and of its keys: the requests, and what is made of the answers. Pure bytes.

A node is hostile input: whatever it says is cut to size, checked, and kept as printable text until a number is asked
for. Who sends and receives is `dcache_manager.inspection`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

OLDEST = (1, 6, 18)
"""The oldest version that is supported."""
MAX_WORD_BYTES = 500


# A node's report on itself


@dataclass(slots=True)
class NodeReply:
    """What a node said of itself. Every word is printable ASCII; everything else is escaped."""

    version: str = ""
    statistics: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    documents: dict[bytes, bytes] = field(default_factory=dict)
    """The documents that were asked for and exist, by wire key."""
    complaint: str = ""
    """Why there is not more."""

    def number(self, name: str) -> int | None:
        """A statistic or setting; None unless it is a whole number of 64 bits."""
        word = self.statistics.get(name, self.settings.get(name, ""))
        return int(word) if word.isdecimal() and len(word) < 20 else None

    @property
    def answered(self) -> bool:
        """Whether the node is alive: it may still have said too little, or nonsense."""
        return bool(self.version or self.statistics)

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
    def hit_ratio(self) -> float | None:
        """The part of all reads that found something, since the node started."""
        hits, misses = self.number("get_hits") or 0, self.number("get_misses") or 0
        return round(hits / (hits + misses), 6) if hits + misses else None

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
        """Unix time by the node's clock, its fraction cut off."""
        return self.number("time")


def report_request(keys: Sequence[bytes]) -> bytes:
    """Asks for everything in a NodeReply. `keys`: the wire keys of documents to fetch as well."""
    return b"stats\r\nstats settings\r\n" + b"".join(b"get %b\r\n" % key for key in keys) + b"version\r\n"


def report_complete(answer: bytes) -> bool:
    """Whether the last line is the reply to the last command of `report_request`."""
    return answer.endswith(b"\r\n") and answer[:-2].rpartition(b"\n")[2].startswith(b"VERSION ")


def parse_report(answer: bytes, keys: Sequence[bytes]) -> NodeReply:
    """The answer to `report_request(keys)`, as far as it makes sense."""
    reply = NodeReply()
    try:
        reply.statistics, rest = _table(answer)
        reply.settings, rest = _table(rest)
        for key in keys:
            value, rest = _value(rest, key)
            if value is not None:
                reply.documents[key] = value
        line, _ = _line(rest)
        if not line.startswith(b"VERSION "):
            raise _Nonsense(f"{_word(line)!r} instead of a version")
        reply.version = _word(line[8:])
    except _Nonsense as nonsense:
        reply.complaint = str(nonsense)
    return reply


def version_numbers(version: str) -> tuple[int, int, int] | None:
    """(1, 6, 18) of "1.6.18_ubuntu"; None if it is no version of memcached."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


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
            raise _Nonsense(f"{_word(line)!r} among the statistics")
        found[_word(name)] = _word(value)


def _value(data: bytes, key: bytes) -> tuple[bytes | None, bytes]:
    """The reply about one document."""
    line, data = _line(data)
    if line == b"END" or line.startswith(_refused):
        return None, data
    head, _, size = line.rpartition(b" ")
    if not head.startswith(b"VALUE %b " % key) or not size.isdigit() or len(size) > 8:
        raise _Nonsense(f"{_word(line)!r} instead of a value")
    value, tail = data[: int(size)], data[int(size) :]
    if not tail.startswith(b"\r\nEND\r\n"):
        raise _Nonsense("a value that does not end where it should")
    return value, tail[7:]


def _word(data: bytes) -> str:
    text = data[:MAX_WORD_BYTES].decode("latin-1")
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)


# A listing of a node's keys: a live walk, so some may be missing and some come twice

LIST_KEYS = b"lru_crawler metadump hash\r\n"
ENABLE_LISTING = b"lru_crawler enable\r\n"
"""For a node that was started with no_lru_crawler."""

Raw = tuple[bytes, bytes]
"""An item's wire key, and what the node says of it: `item_facts` reads that, for the few keys that are of interest."""

_item = re.compile(rb"key=(\S+) (.+)\n")
_facts = re.compile(rb"exp=-?\d+ la=(\d+) cas=\d+ fetch=(yes|no) cls=\d+ size=(\d+)")


class ItemFacts(NamedTuple):
    """`accessed`: Unix time by the node's clock. `fetched`: whether it was ever read."""

    accessed: int
    fetched: bool
    size: int


def listing_refusal(text: bytes) -> bytes:
    """The node's words if it refuses to list its keys now; else nothing."""
    return text.strip() if text.startswith((b"BUSY", *_refused)) else b""


def listing_is_busy(refusal: bytes) -> bool:
    """Whether another listing is running: a node makes one at a time."""
    return refusal.startswith(b"BUSY")


def listing_can_be_enabled(refusal: bytes) -> bool:
    return refusal.startswith(b"CLIENT_ERROR") and b"disabled" in refusal


def listing_enabled(text: bytes) -> bool:
    """Whether the answer to ENABLE_LISTING is a yes."""
    return text == b"OK\r\n"


def listing_ends(text: bytes) -> bool:
    return text.endswith(b"END\r\n")


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
