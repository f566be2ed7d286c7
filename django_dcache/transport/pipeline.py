"""One connection that the tasks of an event loop share: their batches are pipelined on it, replies come back in order.

A batch whose caller has left keeps its place in the line. Its replies are read and dropped when they come, so
one that is late costs those behind it nothing.
"""

from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Protocol

from ..commands import Command, Reply
from ..engines import Parser
from ..errors import ConnectionLost, NodeFailure, NodeTimeout, ProtocolViolation
from .batch import BYTES_PER_SECOND, encoded, repeatable, too_late, unwelcome
from .connection import CHUNK_BYTES, Connection
from .pool import Pool

Answers = Sequence[Reply | NodeFailure]


class Exchange:
    """A batch of commands for one node, and whom to tell what came of it."""

    __slots__ = (
        *("node", "commands", "deadline", "done", "repeatable", "repeated", "parser"),
        *("_pool", "_answered", "_sent_at"),
    )

    def __init__(
        self,
        pool: Pool,
        commands: Sequence[Command],
        deadline: float,
        answered: Callable[[str, Answers], None],
        node: str = "",
    ):
        """`node`: the name that was asked, if the pool's node stands in for others (`A>B`)."""
        self.node, self.commands, self.deadline = node or pool.node.name, commands, deadline
        self.done = self.repeated = False
        self.repeatable = repeatable(commands)
        self.parser: Parser | None = None
        """None as long as nothing was sent."""
        self._pool, self._answered = pool, answered
        self._sent_at = 0.0

    def unwelcome(self) -> NodeFailure | None:
        """Why it is not to be sent."""
        return unwelcome(self._pool, self.commands)

    def encode(self, connection: Connection, now: float) -> bytes:
        """The bytes to send. Their opaque numbers follow those of the batch before them."""
        self._sent_at = now
        data, self.parser = encoded(self._pool, connection, self.commands)
        # A loop that was busy since `submit` has left its nodes no time; a large batch takes its time.
        started = self.deadline if now < self.deadline else now + self._pool.timeout / 2
        self.deadline = started + len(data) / BYTES_PER_SECOND
        return data

    def finish(self, now: float) -> None:
        assert self.parser is not None
        self.done = True
        self._pool.succeeded()
        self._pool.answered(now - self._sent_at)
        self._answered(self.node, self.parser.replies)

    def fail(self, failure: NodeFailure) -> None:
        self.done = True
        if failure.sent and self._sent_at:
            waited = self._pool.breaker.clock() - self._sent_at
            self._pool.lost(failure, waited, self.deadline - self._sent_at)
        got: list[Reply | NodeFailure] = list(self.parser.replies) if self.parser else []
        self._answered(self.node, got + [failure] * (len(self.commands) - len(got)))


class Owner(Protocol):
    """What opened a pipeline. It and the exchanges are told of anything only when the pipeline is in order again."""

    def homeless(self, exchanges: Sequence[Exchange]) -> None:
        """They were not sent, or can be repeated: another connection may carry them."""

    def caught_up(self) -> None:
        """It takes on more again."""

    def ended(self, pipeline: "Pipeline") -> None: ...


class Pipeline:
    """While the connection is quiet a batch leaves at once; while it is busy, together with all others of this turn."""

    def __init__(self, owner: Owner, connection: Connection, clock: Callable[[], float], ordered: bool = True):
        self.connection, self._owner, self._clock, self._ordered = connection, owner, clock, ordered
        self._outbox: list[Exchange] = []  # Not sent yet.
        self._unsent = memoryview(b"")
        """What the kernel has yet to take of the last ones in `_line`."""
        self._line: deque[Exchange] = deque()
        """In the order in which the replies will come."""
        self._overdue = 0  # How many in the line were given up.
        self._flushing = self._writing = self._retired = self.closed = False
        # A callback runs in the context it was made in, and keeps it: that of the first request is no place for others.
        Context().run(get_running_loop().add_reader, connection.fileno(), self._readable)

    @property
    def open(self) -> bool:
        """Whether it takes on more. One that keeps a caller waiting beyond a deadline has to catch up first."""
        return not (self._overdue or self._retired or self.closed)

    @property
    def idle(self) -> bool:
        return not (self._line or self._outbox)

    def submit(self, exchange: Exchange) -> None:
        self._outbox.append(exchange)
        if not self._line:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            get_running_loop().call_soon(self._flush)

    def still_there(self) -> bool:
        """A look at an idle connection, before a write is trusted to it: the node may just have closed it."""
        if not self.connection.quiet():
            self._readable()
        return not self.closed

    # Out

    def _flush(self) -> None:
        self._flushing = False
        if self._unsent or self.closed:
            return
        batches, self._outbox = self._outbox, []
        if self._retired:
            self._owner.homeless(batches)
            return
        if not self._ordered:  # One at a time.
            batches, self._outbox = ([], batches) if self._line else (batches[:1], batches[1:])
        now = self._clock()
        parts: list[bytes] = []
        for exchange in batches:
            if refusal := exchange.unwelcome():
                exchange.fail(refusal)
                continue
            parts.append(exchange.encode(self.connection, now))
            self._line.append(exchange)
        if parts:
            self.connection.used_at = now
            self._send(memoryview(b"".join(parts)))
        elif batches and self._outbox:
            self._flush()

    def _send(self, data: memoryview) -> None:
        try:
            while data and (sent := self.connection.send(data)):
                data = data[sent:]
        except ConnectionLost as failure:
            self._lose(failure)
            return
        self._unsent = data
        if data and not self._writing:
            self._writing = True
            Context().run(get_running_loop().add_writer, self.connection.fileno(), self._writable)
        elif self._writing and not data:
            self._writing = False
            get_running_loop().remove_writer(self.connection.fileno())

    def _writable(self) -> None:
        self._send(self._unsent)
        self._flush()

    # In

    def _readable(self) -> None:
        finished: list[Exchange] = []
        lagging = self._overdue
        try:
            while data := self.connection.receive():
                self._read(data, finished)
                # TLS keeps to itself what it has decrypted: only the next call tells whether there is more.
                if self.connection.direct and len(data) < CHUNK_BYTES:
                    break
        except (ConnectionLost, ProtocolViolation) as failure:
            failure.node = self.connection.node
            self._lose(failure, finished)
            return
        if finished:
            self.connection.used = True
        if self._retired and not self._line:
            self._close()
        self._finish(finished)
        if not self._ordered:
            self._flush()
        if lagging and self.open:
            self._owner.caught_up()

    def _read(self, data: bytes, finished: list[Exchange]) -> None:
        start = 0
        while start < len(data):
            if not self._line:
                raise ProtocolViolation("a reply that was not asked for")
            exchange = self._line[0]
            parser = exchange.parser
            assert parser is not None
            if not parser.feed(data, start):
                if parser.request:
                    self._send(memoryview(bytes(self._unsent) + parser.request))
                    parser.request = b""
                return
            start = len(data) - parser.rest
            self._line.popleft()
            # An error line says nothing of which command it answers. What is under way has its opaque numbers to be
            # matched by, but nothing more is trusted to this connection.
            self._retired |= parser.refused
            if exchange.done:
                self._overdue -= 1
            else:
                finished.append(exchange)

    def _finish(self, exchanges: Sequence[Exchange]) -> None:
        now = self._clock()
        for exchange in exchanges:
            exchange.finish(now)

    # The end

    @property
    def next_deadline(self) -> float:
        return min((e.deadline for e in (*self._line, *self._outbox) if not e.done), default=float("inf"))

    def expire(self, now: float) -> None:
        """Give up what is due."""
        if self.next_deadline > now:
            return
        self._readable()  # A loop that was busy with something else may not have looked yet.
        due = [exchange for exchange in self._line if not exchange.done and exchange.deadline <= now]
        unsent = [exchange for exchange in self._outbox if exchange.deadline <= now]
        self._outbox = [exchange for exchange in self._outbox if exchange.deadline > now]
        self._give_up(due, NodeTimeout(node=self.connection.node))
        for exchange in unsent:
            exchange.fail(too_late(exchange.node))

    def _give_up(self, due: Sequence[Exchange], failure: NodeFailure) -> None:
        for exchange in due:
            exchange.done = True
        self._overdue += len(due)
        if due and (self._unsent or all(exchange.done for exchange in self._line)):
            # Half a batch can't be taken back and must not be completed late; or no caller is waiting any more.
            self._lose(ConnectionLost("closed by us, as it did not answer in time", node=self.connection.node))
        for exchange in due:
            exchange.fail(failure)

    def retire(self) -> None:
        """Take on nothing more, and close when the line is empty."""
        self._retired = True
        if not self._line:
            self._close()

    def release(self) -> Connection | None:
        """The loop ends: its connection, if it may serve others."""
        reusable = self.open and self.idle
        self._stop_listening()
        if reusable:
            # Some loops (uvloop) leave a descriptor that does not block.
            self.connection.socket.setblocking(self.connection.direct)
            return self.connection
        self.connection.close()
        return None

    def _lose(self, failure: NodeFailure, finished: Sequence[Exchange] = ()) -> None:
        waiting = [exchange for exchange in self._line if not exchange.done]
        again: list[Exchange] = []
        if isinstance(failure, ConnectionLost) and self.connection.used:
            # The node had closed it while it was idle.
            again = [e for e in waiting if e.parser and not e.parser.replies and not e.repeated and e.repeatable]
            for exchange in again:
                exchange.repeated = True
            waiting = [exchange for exchange in waiting if exchange not in again]
        self._line.clear()
        self._close(again)
        self._finish(finished)
        for exchange in waiting:
            exchange.fail(failure)

    def _close(self, again: Sequence[Exchange] = ()) -> None:
        if self.closed:
            return
        homeless, self._outbox = [*again, *self._outbox], []
        self._stop_listening()
        self.connection.close()
        self._owner.ended(self)
        if homeless:
            self._owner.homeless(homeless)

    def _stop_listening(self) -> None:
        self.closed = True
        loop, descriptor = get_running_loop(), self.connection.fileno()
        loop.remove_reader(descriptor)
        if self._writing:
            loop.remove_writer(descriptor)
