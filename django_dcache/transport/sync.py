"""Carrying rounds: to every node first, then the replies as they come, under one deadline.

Sending and receiving overlap on non-blocking sockets, so a pipeline of any length can't block on two full buffers.

A reply that this process reads late, having stood still or been busy, counts as any other, and is no sign of a slow
node: nothing is given up before one more look at what has arrived. `Session.late` says that it happened, because what
left or was done after the deadline may have been decided by an outdated view (flows/lateness.py).
"""

import select
from collections.abc import Mapping, Sequence
from os import getpid

from ..commands import Command, Reply
from ..errors import ConnectionLost, LeaseLost, NodeFailure, NodeTimeout, NotServed, ProtocolViolation
from .batch import BYTES_PER_SECOND, NO_TIME, Sent, bound_to, encoded, repeatable, too_late, unwelcome
from .connection import CHUNK_BYTES, Connection
from .nodes import Transport
from .pool import LATE_SECONDS, Pool, half

LOOK_SECONDS = 0.02
"""How long a process that comes late waits for what is still on its way through its own kernel."""


class Session:
    """The connections of one running flow: one a node, kept until the flow ends, because tokens are bound to them."""

    __slots__ = ("deadline", "answered_at", "_transport", "_connections")

    def __init__(self, transport: Transport):
        self._transport = transport
        self.deadline = 0.0
        """Of the present round, with the time that its bytes take."""
        self.answered_at = 0.0
        """When the last reply of the last round came; 0: none did."""
        self._connections: dict[str, tuple[Pool, Connection]] = {}

    def carry(
        self, batches: Mapping[str, Sequence[Command]], deadline: float, sent: Mapping[str, Sent] | None = None
    ) -> dict[str, Sequence[Reply | NodeFailure]]:
        """The replies to each node's batch, in order; a failure in place of each that did not come by `deadline`.

        `sent`: these very batches, if they have left already.
        """
        exchanges = [Exchange(self, name, commands) for name, commands in batches.items()]
        clock = self._transport.clock
        self.deadline, self.answered_at = deadline, 0.0
        if sent is not None:
            assert sent.keys() == batches.keys(), f"sent to {[*sent]}, the flow asks {[*batches]}"
            for exchange in exchanges:
                exchange.take_over(sent[exchange.name])
        elif deadline > NO_TIME:
            # Connecting blocks: nodes to which there is a connection come first.
            for exchange in sorted(exchanges, key=self._connects) if len(exchanges) > 1 else exchanges:
                exchange.begin()
        else:
            return {exchange.name: [too_late(exchange.name)] * len(exchange.commands) for exchange in exchanges}
        waiting = [exchange for exchange in exchanges if not exchange.done]
        if sent is None and waiting and (now := clock()) >= self.deadline:
            self.deadline = now + self._transport.limits.timeout / 2  # Sent late: the nodes have had no time yet.
        if len(waiting) == 1:
            self._gather_one(waiting[0])
        elif waiting:
            self._gather(waiting)
        return {exchange.name: exchange.result() for exchange in exchanges}

    def _connects(self, exchange: "Exchange") -> bool:
        pool = self._transport.pool(exchange.name)
        return exchange.name not in self._connections and (pool is None or not pool.idle)

    def _gather_one(self, exchange: "Exchange") -> None:
        while not exchange.done:
            seconds = self.deadline - self._transport.clock()
            connection = exchange.connection
            if exchange.unsent:
                self._gather([exchange])
            elif seconds <= 0 or not connection.poller.poll(_milliseconds(seconds)):
                self._expire([exchange])
            else:
                exchange.receive(self.deadline)

    def _gather(self, waiting: list["Exchange"]) -> None:
        while waiting:
            poller = select.poll()
            by_descriptor = {}
            for exchange in waiting:
                descriptor = exchange.connection.fileno()
                by_descriptor[descriptor] = exchange
                poller.register(descriptor, select.POLLIN | (select.POLLOUT if exchange.unsent else 0))
            seconds = self.deadline - self._transport.clock()
            ready = poller.poll(_milliseconds(seconds)) if seconds > 0 else []
            if not ready:
                self._expire(waiting)
                return
            for descriptor, events in ready:
                exchange = by_descriptor[descriptor]
                if events & select.POLLOUT:
                    exchange.send()
                if events & ~select.POLLOUT and not exchange.done:
                    exchange.receive(self.deadline)
            waiting = [exchange for exchange in waiting if not exchange.done]

    def _expire(self, waiting: list["Exchange"]) -> None:
        """The time is up. A process that comes late waits once for all nodes, however many of them are silent."""
        now = self._transport.clock()
        late = now > self.deadline + LATE_SECONDS
        for exchange in waiting:
            exchange.expire(now + LOOK_SECONDS, late)

    def take(self, name: str, fresh: bool = False) -> tuple[Pool, Connection]:
        """This flow's connection to the node."""
        held = self._connections.get(name)
        if held and not fresh and held[1].process == getpid():  # What a flow calls may fork.
            return held
        pool = self._transport.pool(name)
        if pool is None:
            raise NotServed(node=name)
        held = pool, pool.take(half(self.deadline, self._transport.clock()), fresh)
        self._connections[name] = held
        return held

    def adopt(self, name: str, pool: Pool, connection: Connection) -> None:
        """The connection is this flow's from now on."""
        self._connections[name] = pool, connection

    def drop(self, name: str) -> None:
        """Close this flow's connection to the node: what it might still say is of no use."""
        held = self._connections.pop(name, None)
        if held:
            held[1].close()

    def release(self) -> None:
        """The flow is complete, and so was every reply: the connections can serve others."""
        while self._connections:
            _, (pool, connection) = self._connections.popitem()
            pool.give_back(connection)

    def abandon(self) -> None:
        """The flow was broken off at an unknown point: no connection of it may be used again."""
        while self._connections:
            _, (_, connection) = self._connections.popitem()
            connection.close()


class Exchange:
    """One node's part of a round."""

    __slots__ = (
        *("name", "commands", "connection", "unsent", "done"),
        *("_session", "_pool", "_parser", "_failure", "_fresh", "_sent_at", "_moved_at"),
    )

    def __init__(self, session: Session, name: str, commands: Sequence[Command]):
        self.name, self.commands, self._session = name, commands, session
        self.done, self._fresh = False, False
        self._failure: NodeFailure | None = None
        self.unsent: memoryview | None = None

    def begin(self) -> None:
        """Connect if needed, and send as much as the kernel takes."""
        try:
            self._take()
            if refusal := unwelcome(self._pool, self.commands):
                raise refusal
            data, self._parser = encoded(self._pool, self.connection, self.commands)
            self._session.deadline += len(data) / BYTES_PER_SECOND
            self._sent_at = self._moved_at = self._session._transport.clock()
            self.unsent = memoryview(data)
            self.send()
        except NodeFailure as failure:
            self._fail(failure)

    def take_over(self, sent: Sent) -> None:
        """Go on from where the short cut came to."""
        self._sent_at = self._moved_at = sent.at
        self._pool: Pool = sent.pool
        self.connection: Connection = sent.connection
        self._session.adopt(self.name, sent.pool, sent.connection)
        self._session.deadline += sent.size / BYTES_PER_SECOND
        self._parser = sent.parser or sent.pool.parser(self.commands, sent.first, self.connection)
        self.unsent = memoryview(sent.unsent)
        try:
            if self._parser.feed(sent.received):
                self._finish()
            elif sent.unsent:
                self.send()
            else:
                self._go_on()
        except NodeFailure as failure:
            failure.node = self.name
            self._fail(failure)

    def _take(self) -> None:
        writes = not repeatable(self.commands)
        self._pool, self.connection = self._session.take(self.name, self._fresh)
        # A pooled connection may have been closed by the node. A read is simply repeated on another when it fails; a
        # write that was sent may still be executed long after its repetition was acknowledged, so the look comes first.
        # Where replies have no number, what waits there would be taken for the reply to what is asked now.
        looks = writes or not self._pool.engine.numbered
        if looks and self.connection.used and not self._fresh and not self.connection.quiet():
            self._session.drop(self.name)
            self._fresh = True
            self._pool, self.connection = self._session.take(self.name, fresh=True)
        # After that look: a node that has restarted numbers its leases from the beginning again.
        if bound_to(self.commands) not in (0, self.connection.serial):
            raise LeaseLost(node=self.name)

    def send(self) -> None:
        try:
            while self.unsent and (sent := self.connection.send(self.unsent)):
                self.unsent = self.unsent[sent:]
                self._sent_at = self._moved_at = self._session._transport.clock()
        except NodeFailure as failure:
            self._fail(failure)

    def _go_on(self) -> None:
        """Send what the replies so far ask for, while there is time."""
        if self._parser.request and self._session._transport.clock() < self._session.deadline:
            data, self._parser.request = self._parser.request, b""
            self.unsent = memoryview(bytes(self.unsent or b"") + data)
            self.send()

    def receive(self, until: float) -> None:
        """Take what has come. A broken node may never stop sending."""
        try:
            while not self.done:
                data = self.connection.receive()
                if data is None:
                    return
                if self._parser.feed(data):
                    self._finish()
                    return
                self._go_on()
                now = self._session._transport.clock()
                if now >= until:
                    return
                if len(data) >= CHUNK_BYTES / 2:
                    self._moved_at = now  # As fast as it can be read.
        except ConnectionLost as failure:
            if self.connection.used and not self._fresh and not self._parser.replies and repeatable(self.commands):
                # The node had closed it while it was idle.
                self._session.drop(self.name)
                self._fresh = True
                self.begin()
                return
            self._fail(failure)
        except ProtocolViolation as failure:
            failure.node = self.name
            self._fail(failure)

    def expire(self, until: float, late: bool) -> None:
        """Take what has arrived by now, or, if this process is `late`, by `until`, and give up the rest."""
        if not self.unsent:
            if late:
                self.connection.poller.poll(_milliseconds(max(0.0, until - self._session._transport.clock())))
            self.receive(until)
        if not self.done:
            self._fail(NodeTimeout(node=self.name))

    def _finish(self) -> None:
        self.done = True
        self._pool.succeeded()
        now = self._session._transport.clock()
        self._pool.answered(now - self._sent_at)
        self._session.answered_at = now
        if self._parser.tainted:
            self._session.drop(self.name)

    def _fail(self, failure: NodeFailure) -> None:
        self.done, self._failure = True, failure
        if failure.sent:
            self._session.drop(self.name)
            waited = self._session._transport.clock() - self._moved_at
            self._pool.lost(failure, waited, self._session.deadline - self._moved_at)

    def result(self) -> Sequence[Reply | NodeFailure]:
        if self._failure is None:
            return self._parser.replies
        got: list[Reply | NodeFailure] = list(self._parser.replies) if hasattr(self, "_parser") else []
        return got + [self._failure] * (len(self.commands) - len(got))


def _milliseconds(seconds: float) -> int:
    return -int(-seconds * 1000 // 1)
