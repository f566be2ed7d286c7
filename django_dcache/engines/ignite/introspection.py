"""What Ignite says of itself and of its keys: the requests, and what is made of the answers. Pure bytes.

Thin clients are told the version and how many items there are. Memory, hits, misses and evictions are told to Java's
own monitoring only, so they are not known here.
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from struct import Struct
from time import time

from ...commands import Answer, Command, Get, Remove, Store, Value
from ...errors import ProtocolViolation
from ...model.state import is_mark_key
from ..inspection import Check, Introspection, ItemFacts, NodeReply, NotListed, Raw, word
from .dialogues import Heard, Step
from .frames import Failed, Frames, Operation, held, key, plain, request
from .items import unpack
from .protocol import ReplyParser, encode
from .scan import Page, first_page, next_page

OLDEST = (2, 11)
"""The first version whose thin clients are told about nodes, and have the expiry policies of protocol 1.6."""
MAX_DOCUMENT_BYTES = 2**22
PAGE_ITEMS = 100
FEW_ITEMS = 3
"""Of up to this number it is looked what they are."""
_first_place, _seconds, _most_bytes = 1, 60, 1000
_count, _long = Struct("<i").pack, Struct("<q")
_NODE_BYTES = 16
_version = re.compile(rb"(.)(.)(.)\x09.{4}[\x20-\x7e]{0,40}.{8}\x0c\x14\x00\x00\x00.{20}\Z", re.DOTALL).search
"""What a node's description ends with: three numbers, a word, a date, and the hash of its source."""


class IgniteReply(NodeReply):
    """What thin clients are told."""

    __slots__ = ()

    @property
    def items(self) -> int | None:
        """Without the marks that greetings leave, where there is little else: an empty node has none."""
        size = self.number("size")
        return None if size is None else max(0, size - (self.number("marks") or 0))


class Report:
    """Asks for everything in a NodeReply. What the login may not ask is left out of it."""

    def __init__(self, cache: bytes, keys: Sequence[bytes]):
        self.reply = IgniteReply(complaint="the answer stops in the middle")
        self._frames, self._dialogue = Frames(MAX_DOCUMENT_BYTES), self._ask(cache, keys)
        self.request = request(*next(self._dialogue), 0)

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once every reply is there. Raises ProtocolViolation."""
        for _, body in self._frames.feed(chunk):
            try:
                self.request = request(*self._dialogue.send(body), 0)
            except StopIteration:
                self.reply.complaint = ""
                return True
        return False

    def _ask(self, cache: bytes, keys: Sequence[bytes]) -> Generator[Step, Heard, None]:
        reply = self.reply
        size = yield Operation.GET_SIZE, plain(cache) + _count(0)
        if not isinstance(size, Failed) and len(size) == _long.size:
            (items,) = _long.unpack(size)
            reply.statistics["size"] = str(items)
            if 0 < items <= FEW_ITEMS:
                reply.statistics["marks"] = str(_marks((yield Operation.SCAN, first_page(cache, FEW_ITEMS))))
        nodes = yield Operation.NODE_IDS, _long.pack(0) + _count(0)
        if not isinstance(nodes, Failed) and len(nodes) >= 13 + _NODE_BYTES:
            about = yield Operation.NODE_INFO, _count(1) + nodes[13 : 13 + _NODE_BYTES]
            if not isinstance(about, Failed) and (found := _version(about)):
                reply.version = ".".join(str(part[0]) for part in found.groups())
        for wire_key in keys:
            heard = yield Operation.GET, plain(cache) + key(wire_key)
            stored = None if isinstance(heard, Failed) else held(heard)
            if stored and (item := unpack(stored)):
                reply.documents[wire_key] = item.data


def _marks(page: Heard) -> int:
    """How many of a few items are marks (greeting.py); 0 where they can't be told."""
    try:
        return 0 if isinstance(page, Failed) else sum(is_mark_key(name) for name, _ in Page.read(page, None).items)
    except ProtocolViolation:  # Other software's; a listing says so.
        return 0


class Listing:
    """One walk through the items, page by page."""

    def __init__(self, cache: bytes) -> None:
        self.over = False
        self._frames = Frames()
        self._cursor: int | None = None
        self.request = request(Operation.SCAN, first_page(cache, PAGE_ITEMS), 0)

    def feed(self, chunk: bytes) -> list[Raw]:
        """The items in what came. Raises NotListed, ProtocolViolation."""
        items: list[Raw] = []
        for _, body in self._frames.feed(chunk):
            if self.over:
                raise ProtocolViolation("more was said than asked for")
            if isinstance(body, Failed):
                raise NotListed(word(body.words.encode()))
            page = Page.read(body, self._cursor)
            self._cursor = page.cursor
            items += [(wire_key, b"%d" % len(stored)) for wire_key, stored in page.items]
            self.over = not page.more
            if page.more:
                self.request = request(Operation.NEXT_PAGE, next_page(page.cursor), 0)
        return items


def item_facts(said: bytes) -> ItemFacts:
    """What a listing says of one item; zeros if it can't be read. When it was read last is not known."""
    return ItemFacts(0, False, int(said) if said.isdigit() and len(said) < 12 else 0)


class RoundTrip:
    """Stores, reads and deletes a small item."""

    def __init__(self, cache: bytes, wire_key: bytes):
        asks: list[Command] = [Store(wire_key, 0, b"hi", ttl=_seconds), Get(wire_key), Remove(wire_key), Get(wire_key)]
        self._parser = ReplyParser(cache, asks, _first_place, 0, _most_bytes)
        self.request = encode(cache, asks, _first_place, time())

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once every answer is there."""
        complete = self._parser.feed(chunk)
        self.request, self._parser.request = self._parser.request, b""
        return complete

    @property
    def complaint(self) -> str:
        """What is wrong with the answers; empty if nothing is."""
        right = [Answer.DONE, Value(b"hi"), Answer.DONE, Answer.MISS]
        return "" if self._parser.replies == right else repr(self._parser.replies or "no answer")[:100]


def unsuitable(version: str) -> str:
    """Why a node of this version can't be used; empty if it can."""
    parts = version.split(".")
    if len(parts) > 1 and (int(parts[0]), int(parts[1])) >= OLDEST:
        return ""
    return f"it runs version {version or '(unknown)'}; the oldest supported is {'.'.join(map(str, OLDEST))}"


def checks(reply: NodeReply) -> Iterator[Check]:
    """What a node's own words tell."""
    if complaint := unsuitable(reply.version):
        yield Check("version", "fail", complaint, "upgrade to Ignite 2.17")
    else:
        yield Check("version", "ok", reply.version)


def introspection(cache: bytes) -> Introspection:
    """What the manager asks about the cache with this id."""
    listing: Callable[[], Listing] = partial(Listing, cache)
    return Introspection(
        partial(Report, cache),
        listing,
        item_facts,
        checks,
        partial(RoundTrip, cache),
        unsuitable,
        bulk_fill=None,
        tells_last_read=False,
    )
