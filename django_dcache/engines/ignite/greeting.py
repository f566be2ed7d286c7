"""What is said first on every connection: who we are. Then, and again on one that was idle: which servers there are,
and whether the cache and the mark in it are there.

The mark (flows/returned.py) names the servers that have written what the cache holds, each by its node id, which is new
with each run of its process. One that it does not name came later, and may have brought the past from its disk.
"""

from collections.abc import Generator

from ...errors import ProtocolViolation
from ...model.addresses import Login, parse
from ...model.state import mark_key
from ...model.topology import Node
from .cluster import SERVERS, lags, server_ids
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


class Look:
    """What is asked of a server that knows who we are."""

    def __init__(self, node: Node, fleet: str = ""):
        self.returned = ""
        self._cache, self._fleet = parse(node.address).cache, fleet
        self._frames, self._dialogue = Frames(_MAX_BYTES, changes=1), self._look()
        self.request = request(*next(self._dialogue), 0)

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once everything is said. Raises ProtocolViolation."""
        for _, body in self._frames.feed(chunk):
            try:
                self.request = request(*self._dialogue.send(body), 0)
            except StopIteration:
                if self._frames.rest:
                    raise ProtocolViolation("more was said than asked for") from None
                return True
        return False

    def _look(self) -> Generator[tuple[int, bytes], bytes | Failed, None]:
        # In this order: a server that comes in between shows in the next reply.
        servers = server_ids(_sound((yield Operation.NODE_IDS, SERVERS)))
        cache = cache_id(self._cache)
        name = key(mark_key(self._fleet or "-"))
        found = yield Operation.GET, plain(cache) + name
        if isinstance(found, Failed) and found.status == NO_CACHE:
            # Not made here: a server that is just starting breaks down where a client makes one.
            raise ProtocolViolation(f"it has no cache {self._cache!r}: add it to the server's cacheConfiguration")
        stored = held(_sound(found))
        if len(servers) > 1 and lags(_sound((yield Operation.CONFIGURATION, plain(cache)))):
            raise ProtocolViolation(f"copies of {self._cache!r} lag: give it writeSynchronizationMode FULL_SYNC")
        if not self._fleet:
            return
        incarnation = ",".join(sorted(servers))
        if stored is None and found == NULL:
            # One that is full has no mark, and is looked at again.
            mark = name + pack(0, incarnation.encode(), 0)
            yield Operation.PUT_IF_ABSENT, expiring(cache, None) + mark
            return
        mark_item = unpack(stored) if stored else None
        if mark_item is None or servers - set(mark_item.data.decode("latin-1").split(",")):
            self.returned = incarnation


class Greeting(Look):
    """One exchange of greetings. `request` is what is to be said now."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        super().__init__(node, fleet)
        self._next, self._heard, self._welcome = self.request, b"", False
        self.request = handshake(login.user if login else None, login.password if login else None)

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the server has greeted. Raises ProtocolViolation."""
        if self._welcome:
            return super().feed(chunk)
        self._heard += chunk
        size = int.from_bytes(self._heard[:4], "little")
        if len(self._heard) >= 4 and not 1 <= size <= _MAX_BYTES or len(self._heard) > 4 + size:
            raise ProtocolViolation(f"it said {self._heard[:40]!r}")
        if len(self._heard) < 4 or len(self._heard) < 4 + size:
            return False
        said = self._heard[4:]
        if said[:1] != _YES:
            raise ProtocolViolation(f"it said {said[12:112].decode('ascii', 'replace')!r}")
        self.request, self._welcome = self._next, True
        return False


def _sound(heard: bytes | Failed) -> bytes:
    if isinstance(heard, Failed):
        raise ProtocolViolation(f"it said {heard.words!r}")
    return heard
