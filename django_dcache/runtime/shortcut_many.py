"""Many keys in one pipelined batch a node, all sent before the first reply is awaited: as `shortcut`, for many.

If any of the keys needs the flow, all of them take it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ..engines import Parser
from ..engines.shortcut import OUT_OF_STEP, Found
from ..errors import ProtocolViolation
from ..flows import Item
from ..transport.batch import Sent
from ..transport.connection import Connection
from .fleet import Carried, Fleet
from .plans import CopyPlan
from .shortcut import NeedsFlow, begin, idle

CHUNK_BYTES = 64 * 1024
READ_BYTES, WRITE_BYTES = 24 * 1024, 128 * 1024
"""The most that is sent to a node before its replies are read, so that neither side blocks on a full buffer."""


class Batch:
    """What one node is asked over one connection, and what it has answered so far."""

    __slots__ = ("copy", "parts", "made_keys", "connection", "first", "request", "unsent", "received", "parser")

    connection: Connection
    first: int
    """The opaque number of its first command."""

    def __init__(self, copy: CopyPlan, parts: list[bytes], made_keys: Sequence[str] = ()):
        self.copy, self.parts, self.made_keys = copy, parts, made_keys
        """`parts`: wire keys to be read, or commands."""
        self.request = self.unsent = b""
        self.received: list[bytes] = []
        self.parser: Parser | None = None

    def receive(self, most: int = CHUNK_BYTES) -> bytes:
        """What has come; nothing if the time is over, or the node has closed the connection."""
        try:
            data: bytes = self.connection.socket.recv(most)
        except OSError:
            return b""
        return data

    def sent(self, at: float) -> Sent:
        """As the flow takes it over."""
        received = b"".join(self.received)
        pool, size = self.copy.pool, len(self.request)
        return Sent(pool, self.connection, self.first, at, self.unsent, received, self.parser, size)


class Batches(list[Batch]):
    """One round: a batch for each node."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self.began, self.charged, self.plans = begin(fleet)
        self._at = self.began

    def connect(self, writes: bool) -> None:
        """Take an idle connection to every node. Raises NeedsFlow."""
        for number, batch in enumerate(self):
            connection = idle(batch.copy.pool, self.began, writes)
            if connection is None:
                self._release(self[:number])
                raise NeedsFlow
            batch.connection, batch.first = connection, connection.opaque

    def send(self, most: int) -> None:
        """To every node, or, if it is too much for one go anywhere, to none. Raises NeedsFlow."""
        for batch in self:
            if len(batch.request) > most:
                self._release(self)
                raise NeedsFlow
        for batch in self:
            try:
                taken = batch.connection.socket.send(batch.request)
            except OSError:
                taken = 0
            batch.unsent = batch.request[taken:]
        self._at = self.fleet.clock()

    @property
    def late(self) -> bool:
        """Whether half of the time is over: what is still under way is waited for by the flow, all at once."""
        return self.fleet.clock() - self.began > self.fleet.options.timeout / 2

    def finish(self) -> None:
        """All of it was plain."""
        self._release(self)
        if self.charged is not None:
            self.charged.spent += self.fleet.clock() - self.began

    def hand_over(self) -> NeedsFlow:
        sent = {batch.copy.node: batch.sent(self._at) for batch in self}
        return NeedsFlow(Carried(self.plans.view, self.began, [sent]))

    @staticmethod
    def _release(batches: Iterable[Batch]) -> None:
        for batch in batches:
            batch.copy.pool.idle.append(batch.connection)


def get_many(fleet: Fleet, made_keys: Collection[str]) -> Found:
    """(flags, data) of what was found. Raises NeedsFlow."""
    batches = Batches(fleet)
    groups = batches.plans.group(list(made_keys))
    if groups is None:
        raise NeedsFlow
    batches += [Batch(*group) for group in groups]
    return read(batches)


def read(batches: Batches, most: int = CHUNK_BYTES) -> Found:
    """(flags, data) of what was found; `most`: what is received at once. Raises NeedsFlow."""
    batches.connect(writes=False)
    for batch in batches:
        batch.request = batches.fleet.hot.questions(batch.parts, batch.first)
        batch.connection.opaque += len(batch.parts)
    batches.send(READ_BYTES)
    found: Found = {}
    missed: list[str] = []
    for batch in batches:
        if not _collect(batches, batch, found, missed, most):
            raise batches.hand_over()
    if missed and not batches.plans.single:
        raise batches.hand_over()
    batches.finish()
    return found


def _collect(batches: Batches, batch: Batch, found: Found, missed: list[str], most: int) -> bool:
    """Read the answers to a batch; whether all of them were plain, and there in time."""
    number, data = 0, b""
    while chunk := batch.receive(most):
        batch.received.append(chunk)
        data = data + chunk if data else chunk
        position, number = batches.fleet.hot.answers(data, batch.made_keys, number, batch.first, found, missed)
        if position == OUT_OF_STEP:
            return False
        if number == len(batch.made_keys):
            return position == len(data)  # What follows was not asked for.
        data = data[position:]
        if batches.late or len(data) > batches.fleet.transport.limits.most_bytes + most:
            return False  # The flow reads past a value that is too large.
    return False


def store_many(fleet: Fleet, items: Mapping[str, object]) -> None:
    """Store all of them, by made key. Raises NeedsFlow, too where one is no plain Item."""
    batches, hot = Batches(fleet), fleet.hot
    parts: dict[CopyPlan, list[bytes]] = defaultdict(list)
    for item, (name, slot, plan) in zip(items.values(), batches.plans.place_many(items), strict=True):
        if not plan.write or type(item) is not Item:
            raise NeedsFlow
        flags, data, ttl = item
        for copy in plan.write:
            key = name if copy.generations is None else copy.key(name, slot)
            parts[copy].append(hot.one_store((key, len(data), flags, hot.expires(ttl), data)))
    batches += [Batch(copy, commands) for copy, commands in parts.items()]
    _tell(batches, hot.stores, hot.stores_parser)


def remove_many(fleet: Fleet, made_keys: Collection[str]) -> None:
    """Delete all of them. Raises NeedsFlow."""
    batches = Batches(fleet)
    plans = batches.plans
    # Where keys have one copy, and it does not move, it is the one that is read.
    groups = plans.group(list(made_keys)) if plans.single and plans.stable else None
    if groups is None:
        parts: dict[CopyPlan, list[bytes]] = defaultdict(list)
        for name, slot, plan in plans.place_many(made_keys):
            if not plan.write:
                raise NeedsFlow
            for copy in plan.write:
                parts[copy].append(name if copy.generations is None else copy.key(name, slot))
        batches += [Batch(copy, keys) for copy, keys in parts.items()]
    else:
        batches += [Batch(copy, keys) for copy, keys, _ in groups]
    _tell(batches, fleet.hot.removes, fleet.hot.removes_parser)


def _tell(
    batches: Batches, whole: Callable[[Sequence[bytes], int], bytes], parser: Callable[[int, int], Parser]
) -> None:
    """Send each node its commands; plain is what it says to them if none was refused."""
    batches.connect(writes=True)
    for batch in batches:
        batch.request = whole(batch.parts, batch.first)
        batch.parser = parser(len(batch.parts), batch.first)
        batch.connection.opaque += 1
    batches.send(WRITE_BYTES)
    hear(batches)


def hear(batches: Batches) -> None:
    """What each node says to them is plain if none was refused. Raises NeedsFlow."""
    if all(through := [_through(batches, batch) for batch in batches]) and not batches.late:
        batches.finish()
        return
    refused = [batch.parser.refused for batch in batches if batch.parser]
    if any(refused) and all(refused or through for refused, through in zip(refused, through, strict=True)):
        # The flow asks again, one by one. Every node is through: nothing is under way that could come after it.
        for batch in batches:
            batch.connection.close()
        raise NeedsFlow
    raise batches.hand_over()


def _through(batches: Batches, batch: Batch) -> bool:
    parser = batch.parser
    assert parser is not None
    try:
        while not batches.late and (chunk := batch.receive()):
            if parser.feed(chunk):
                return not parser.tainted
    except ProtocolViolation:
        pass
    return False
