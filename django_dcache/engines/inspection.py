"""What an engine tells of its nodes and of their keys, for the manager, in no engine's words.

A node is hostile input: whatever it says is cut to size, checked, and kept as printable text until a number is asked
for. Who sends and receives is `dcache_manager.inspection`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from .interface import Question

MAX_WORD_BYTES = 500


@dataclass(slots=True)
class NodeReply:
    """What a node said of itself. Every word is printable ASCII; everything else is escaped.

    Each engine reads its own statistics: None is what it does not tell.
    """

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
        return None

    @property
    def used_bytes(self) -> int | None:
        return None

    @property
    def limit_bytes(self) -> int | None:
        return None

    @property
    def max_item_bytes(self) -> int | None:
        return None

    @property
    def hits(self) -> int | None:
        return None

    @property
    def misses(self) -> int | None:
        return None

    @property
    def operations(self) -> int | None:
        """Commands since it started; without our polls of the fleet's state, if they can be told apart."""
        return None

    @property
    def hit_ratio(self) -> float | None:
        """The part of all reads that found something, since the node started."""
        hits, misses = self.hits or 0, self.misses or 0
        return round(hits / (hits + misses), 6) if hits + misses else None

    @property
    def evictions(self) -> int | None:
        return None

    @property
    def connections(self) -> int | None:
        return None

    @property
    def uptime_seconds(self) -> int | None:
        return None

    @property
    def clock(self) -> int | None:
        """Unix time by the node's clock, its fraction cut off."""
        return None


def word(data: bytes) -> str:
    """What a node said, as printable ASCII of a reasonable length."""
    text = data[:MAX_WORD_BYTES].decode("latin-1")
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)


class Check(NamedTuple):
    """One thing that was looked at, and what to do about it."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


Raw = tuple[bytes, bytes]
"""An item's wire key, and what the node says of it: `facts` reads that, for the few keys that are of interest."""


class ItemFacts(NamedTuple):
    """`accessed`: Unix time by the node's clock. `fetched`: whether it was ever read."""

    accessed: int
    fetched: bool
    size: int


class NotListed(Exception):
    """The node does not list its keys now. `busy`: another listing is running, so it may soon."""

    def __init__(self, words: str, busy: bool = False):
        super().__init__(words)
        self.busy = busy


class Listing(Protocol):
    """A walk through the keys of one node. It is live: some may be missing, and some come twice."""

    request: bytes
    """What is to be sent now; empty while the node has more to say."""
    over: bool

    def feed(self, chunk: bytes) -> list[Raw]:
        """The items in what came. Raises NotListed, ProtocolViolation."""


class ReadsLog(Protocol):
    """The reads that a node serves, as it logs them; it may leave some out."""

    request: bytes

    def feed(self, chunk: bytes) -> list[bytes]:
        """The wire keys in what came. Raises NotListed where the node refuses, ProtocolViolation."""


class Report(Question, Protocol):
    """Asks a node for everything in a NodeReply."""

    @property
    def reply(self) -> NodeReply:
        """The answer, as far as it makes sense."""


class Trial(Question, Protocol):
    """Stores, reads and deletes a small item."""

    @property
    def complaint(self) -> str:
        """What is wrong with the answer; empty if nothing is."""


class RoundTrip:
    """Stores, reads and deletes a small item. `right`: what a node that is well says to the `request`."""

    def __init__(self, request: bytes, right: bytes):
        self.request, self._right, self._answer = request, right, b""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once there are as many as there should be."""
        self._answer += chunk
        return len(self._answer) >= len(self._right)

    @property
    def complaint(self) -> str:
        """What is wrong with the answer; empty if nothing is."""
        return "" if self._answer == self._right else repr(self._answer[:100])


class BulkItem(NamedTuple):
    """`ttl` as `BulkFill.seconds_to_ttl` makes it."""

    name: bytes
    flags: int
    ttl: int
    data: bytes


LeaseReply = tuple[bytes, bytes, bytes, bytes]
"""(token, opaque, not empty if the lease is ours, not empty if another client holds one)"""
StoreReply = Literal["stored", "refused", "void", ""]
"""void: the lease was lost, or the item is gone. Empty: a line that makes no sense."""


class BulkFill(Protocol):
    """Filling nodes with millions of items: the bytes of three commands, each answered by one line, in order.

    What `flows.fill` does by `Get(lease)`, `Store(token)` and `Remove(token)`, without an object for each command and
    each reply: those would take most of the time of a load.
    """

    def seconds_to_ttl(self, seconds: float | None, now: float) -> int: ...

    def ask_lease(self, key: bytes, seconds: int, opaque: int) -> bytes:
        """A lease on a wire key, which is had only where nothing is stored and no other client holds one."""

    def store(self, key: bytes, item: BulkItem, token: bytes, opaque: int) -> bytes:
        """`item` under a lease that is held."""

    def give_back(self, key: bytes, token: bytes, opaque: int) -> bytes:
        """A lease that is held and not needed."""

    def lease_replies(self, heard: bytes) -> list[LeaseReply]:
        """The replies to `ask_lease` among these lines."""

    def first_odd_line(self, heard: bytes) -> bytes:
        """The first line that is no reply to `ask_lease`."""

    def store_reply(self, line: bytes, opaque: int) -> StoreReply:
        """What a line without its end says to `store` or `give_back` with this opaque number."""


@dataclass(frozen=True, slots=True)
class Introspection:
    """What the manager asks of an engine."""

    report: Callable[[Sequence[bytes]], Report]
    """From the wire keys of documents that are to be fetched as well, the first of which never expires."""
    listing: Callable[[], Listing]
    facts: Callable[[bytes], ItemFacts]
    """What a listing says of one item; zeros if it can't be read."""
    checks: Callable[[NodeReply], Iterable[Check]]
    """What is wrong with a node, or will be, by its own words."""
    round_trip: Callable[[bytes], Trial]
    """From the wire key of an item that no client uses."""
    unsuitable: Callable[[str], str]
    """Why a node of this version can't be used; empty if it can."""
    bulk_fill: BulkFill | None
    """None: millions of items are filled in by the same commands as one."""
    reads_log: Callable[[], ReadsLog] | None = None
    """None: nodes of this engine do not tell what they are asked for."""
    tells_last_read: bool = True
    """Whether `facts` say when a key was read last."""
