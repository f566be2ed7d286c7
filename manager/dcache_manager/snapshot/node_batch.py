"""One node's part of a batch: a connection, the commands sent over it, and the lines that come back."""

import select
from collections.abc import Callable, Iterable, Sequence

from django_dcache.errors import NodeFailure, NodeTimeout, ProtocolViolation
from django_dcache.transport.connection import Connection
from django_dcache.transport.pool import Pool

KeyPrefixes = Sequence[bytes | None]
"""What a wire key of a node begins with, by slot; None where nothing may be stored."""

MAX_REPLY_BYTES = 2**20
"""The replies to the largest batch are a tenth of it."""


class NodeBatch:
    """Every command is answered by one line, in order. After a failure nothing more is sent or read."""

    def __init__(self, pool: Pool, prefixes: KeyPrefixes):
        self.node = pool.node.name
        self.prefixes = prefixes
        self.asked: dict[int, bytes] = {}
        """The wire key of each item by its number in the batch."""
        self.tokens: dict[int, bytes] = {}
        """Of the items whose lease is ours."""
        self.failure: NodeFailure | None = None
        self.first = 0
        """The opaque number of item 0."""
        self._pool = pool
        self._connection: Connection | None = None
        self._unsent = memoryview(b"")
        self._heard = b""
        self._lines = 0

    def open(self, seconds: float, items: int) -> None:
        """Take a connection, within `seconds`, for a batch of `items`."""
        try:
            connection = self._pool.take(seconds)
            if connection.used and not connection.quiet():  # Its node closed it while it was idle.
                connection.close()
                connection = self._pool.open(seconds)
        except NodeFailure as failure:
            self.failure = failure
            return
        self._connection, self.first = connection, connection.opaque
        connection.opaque = (connection.opaque + items) % 2**31

    def say(self, commands: Sequence[bytes]) -> None:
        """To be carried to the node."""
        self._unsent, self._lines, self._heard = memoryview(b"".join(commands)), len(commands), b""

    @property
    def waiting(self) -> bool:
        """Whether there are answers to come."""
        return self._connection is not None and self._lines > 0

    @property
    def heard(self) -> bytes:
        """The lines that came back, as many as commands."""
        return self._heard

    def fail(self, failure: NodeFailure) -> None:
        failure.node = self.node
        self.failure = failure
        self.abandon()
        self._pool.failed(failure)

    def close(self) -> None:
        """Give the connection back: whatever was said over it was answered."""
        if self._connection:
            self._pool.succeeded()
            self._pool.give_back(self._connection)
            self._connection = None

    def abandon(self) -> None:
        """The connection must not be used again."""
        if self._connection:
            self._connection.close()
            self._connection = None

    # For `carry`

    def register(self, poller: select.poll) -> int:
        assert self._connection
        poller.register(self._connection, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        return self._connection.fileno()

    def send(self) -> None:
        """As much as the kernel takes."""
        assert self._connection
        try:
            while self._unsent and (sent := self._connection.send(self._unsent)):
                self._unsent = self._unsent[sent:]
        except NodeFailure as failure:
            self.fail(failure)

    def receive(self) -> None:
        """What has arrived."""
        try:
            while self._connection and self._lines and (data := self._connection.receive()) is not None:
                self._heard += data
                self._lines -= data.count(b"\n")
                if self._lines < 0 or len(self._heard) > MAX_REPLY_BYTES or not self._lines and data[-1:] != b"\n":
                    raise ProtocolViolation("more than was asked for")
        except NodeFailure as failure:
            self.fail(failure)


def carry(batches: Iterable[NodeBatch], deadline: float, clock: Callable[[], float]) -> None:
    """Say to every node what there is to say, and hear the answers. Sending and receiving overlap, so that neither
    side waits for the other to empty its buffer."""
    batches = [batch for batch in batches if batch.waiting]
    late = clock() >= deadline  # This process stood still, and others have stopped counting on it.
    for batch in batches:
        if late:
            batch.fail(NodeTimeout("nothing was sent"))
        else:
            batch.send()
    while batches := [batch for batch in batches if batch.waiting]:
        poller = select.poll()
        by_descriptor = {batch.register(poller): batch for batch in batches}
        left = deadline - clock()
        ready = poller.poll(max(0.0, left) * 1000)
        for descriptor, events in ready:
            batch = by_descriptor[descriptor]
            if events & select.POLLOUT:
                batch.send()
            if events & ~select.POLLOUT:
                batch.receive()
        if not ready or left <= 0:
            for batch in batches:
                if batch.waiting:
                    batch.fail(NodeTimeout())
