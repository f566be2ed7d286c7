"""What is said first on every connection: who we are. Then, and again on one that was idle, all at once: which servers
there are, and whether the cache and the mark in it are there.

The mark (flows/returned.py) names the servers that have written what the cache holds, each by its node id, which is new
with each run of its process. One that it does not name came later, and may have brought the past from its disk.
"""

from collections.abc import Generator, Sequence

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
Question = tuple[int, bytes]
Heard = bytes | Failed


class Look:
    """What is asked of a server that knows who we are."""

    CHANGES = 0
    """How many replies may say that servers have come or gone since the last one on the connection."""

    def __init__(self, node: Node, fleet: str = ""):
        self.returned = ""
        self._cache, self._fleet = parse(node.address).cache, fleet
        self._frames, self._dialogue = Frames(_MAX_BYTES, self.CHANGES), self._look()
        self._ask(next(self._dialogue))

    def _ask(self, questions: Sequence[Question]) -> None:
        """Ask them at once; the number of each is its place."""
        self.request = b"".join([request(*question, number) for number, question in enumerate(questions)])
        self._asked, self._replies = len(questions), dict[int, Heard]()

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once everything is said. Raises ProtocolViolation."""
        for number, body in self._frames.feed(chunk):
            if number in self._replies or not 0 <= number < self._asked:
                raise ProtocolViolation("more was said than asked for")
            self._replies[number] = body
        if len(self._replies) < self._asked:
            return False
        if self._frames.rest:
            raise ProtocolViolation("more was said than asked for")
        try:
            self._ask(self._dialogue.send([self._replies[number] for number in range(self._asked)]))
        except StopIteration:
            return True
        return False

    def _look(self) -> Generator[Sequence[Question], Sequence[Heard], None]:
        cache, name = plain(cache_id(self._cache)), key(mark_key(self._fleet or "-"))
        # The server may work at them in any order: if another one comes meanwhile, one of the replies says so.
        ids, found, configuration = yield (
            (Operation.NODE_IDS, SERVERS),
            (Operation.GET, cache + name),
            (Operation.CONFIGURATION, cache),
        )
        servers = server_ids(_sound(ids))
        if isinstance(found, Failed) and found.status == NO_CACHE:
            # Not made here: a server that is just starting breaks down where a client makes one.
            raise ProtocolViolation(f"it has no cache {self._cache!r}: add it to the server's cacheConfiguration")
        stored = held(_sound(found))
        if len(servers) > 1 and lags(_sound(configuration)):
            raise ProtocolViolation(f"copies of {self._cache!r} lag: give it writeSynchronizationMode FULL_SYNC")
        if not self._fleet:
            return
        incarnation = ",".join(sorted(servers))
        if stored is None and found == NULL:
            # One that is full has no mark, and is looked at again.
            mark = name + pack(0, incarnation.encode(), 0)
            yield [(Operation.PUT_IF_ABSENT, expiring(cache_id(self._cache), None) + mark)]
            return
        mark_item = unpack(stored) if stored else None
        if mark_item is None or servers - set(mark_item.data.decode("latin-1").split(",")):
            self.returned = incarnation


class Greeting(Look):
    """One exchange of greetings. `request` is what is to be said now."""

    CHANGES = 1

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
