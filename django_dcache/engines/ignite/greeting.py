"""What is said first on every connection: who we are; then the cache is looked for.

A server says by its node id which run of its process it is, so a mark among its items (flows/returned.py) tells whether
it came back with what it kept on disk.
"""

from collections.abc import Generator

from ...errors import ProtocolViolation
from ...model.addresses import Login, parse
from ...model.state import mark_key
from ...model.topology import Node
from .frames import (
    NO_CACHE,
    NULL,
    Failed,
    Frames,
    Operation,
    cache_id,
    expiring,
    handshake,
    held,
    key,
    plain,
    request,
)
from .items import pack, unpack

_MAX_BYTES = 2**16
_YES = b"\x01"
_node_id_bytes = 16


class Greeting:
    """One exchange of greetings. `request` is what is to be said now."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        self.returned = ""
        self.request = handshake(login.user if login else None, login.password if login else None)
        self._cache, self._fleet = parse(node.address).cache, fleet
        self._heard = b""
        self._frames: Frames | None = None
        self._dialogue: Generator[tuple[int, bytes], bytes | Failed, None] | None = None

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the server has greeted. Raises ProtocolViolation."""
        if self._dialogue is None or self._frames is None:
            return self._welcome(chunk)
        for _, body in self._frames.feed(chunk):
            try:
                self.request = request(*self._dialogue.send(body), 0)
            except StopIteration:
                if self._frames.rest:
                    raise ProtocolViolation("more was said than asked for") from None
                return True
        return False

    def _welcome(self, chunk: bytes) -> bool:
        self._heard += chunk
        size = int.from_bytes(self._heard[:4], "little")
        if len(self._heard) >= 4 and not 1 <= size <= _MAX_BYTES or len(self._heard) > 4 + size:
            raise ProtocolViolation(f"it said {self._heard[:40]!r}")
        if len(self._heard) < 4 or len(self._heard) < 4 + size:
            return False
        said = self._heard[4:]
        if said[:1] != _YES:
            raise ProtocolViolation(f"it said {said[12:112].decode('ascii', 'replace')!r}")
        self._frames = Frames(_MAX_BYTES)
        self._dialogue = self._look(said[-_node_id_bytes:].hex())
        self.request = request(*next(self._dialogue), 0)
        return False

    def _look(self, incarnation: str) -> Generator[tuple[int, bytes], bytes | Failed, None]:
        """For the cache, and for the mark in it."""
        cache = cache_id(self._cache)
        name = key(mark_key(self._fleet)) if self._fleet else key(mark_key("-"))
        found = yield Operation.GET, plain(cache) + name
        if isinstance(found, Failed) and found.status == NO_CACHE:
            # Not made here: a server that is just starting breaks down where a client makes one.
            raise ProtocolViolation(f"it has no cache {self._cache!r}: add it to the server's cacheConfiguration")
        stored = held(_sound(found))
        if not self._fleet:
            return
        if stored is None and found == NULL:
            # One that is full has no mark, and is looked at again.
            mark = name + pack(0, incarnation.encode(), 0)
            yield Operation.PUT_IF_ABSENT, expiring(cache, None) + mark
            return
        mark_item = unpack(stored) if stored else None
        if mark_item is None or mark_item.data != incarnation.encode():
            self.returned = incarnation


def _sound(heard: bytes | Failed) -> bytes:
    if isinstance(heard, Failed):
        raise ProtocolViolation(f"it said {heard.words!r}")
    return heard
