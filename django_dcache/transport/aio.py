"""The transport of one event loop: to each node one connection that its tasks share, and another while that one lags.

Connections are made by the pools of the process, in a thread, and go back to them when the loop ends: a loop that lives
for one request only, as `async_to_sync` makes them, opens none.
"""

from asyncio import CancelledError, Future, get_running_loop
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..commands import Command
from ..errors import LeaseLost, NodeFailure, NodeUnreachable, NotServed
from .batch import NO_TIME, bound_to, too_late
from .breaker import State
from .connection import Connection
from .nodes import Transport
from .pipeline import Answers, Exchange, Pipeline
from .pool import Pool, half


class LoopPool:
    """The connections of one loop to one node."""

    def __init__(self, pool: Pool, limit: int, clock: Callable[[], float]):
        self.pool, self._limit, self._clock = pool, limit, clock
        self.pipelines: list[Pipeline] = []
        self._waiting: list[Exchange] = []
        """For a connection that is being made, or for one to be closed where no more are allowed."""
        self._opening = self._closed = False

    def submit(self, exchange: Exchange) -> None:
        """Send it, as soon as there is a connection."""
        serial = 0 if exchange.repeatable else bound_to(exchange.commands)
        pipeline = self._pipeline(exchange, serial)
        if serial and (pipeline is None or pipeline.connection.serial != serial):
            exchange.fail(LeaseLost(node=exchange.node))
        elif pipeline:
            pipeline.submit(exchange)
        else:
            self._waiting.append(exchange)
            self._open()

    def _pipeline(self, exchange: Exchange, serial: int) -> Pipeline | None:
        now = self._clock()
        probes = self.pool.breaker.state is State.DOWN
        if probes:
            self.pool.clear()
        for pipeline in tuple(self.pipelines):
            if pipeline.idle and pipeline.open:
                # A firewall may have forgotten what was idle for long. A new connection is greeted before it is used.
                old = not self.pool.trusts(pipeline.connection, now) and pipeline.connection.serial != serial
                if probes or old or not (exchange.repeatable or pipeline.still_there()):
                    pipeline.retire()
            if pipeline.open:
                return pipeline
        while self.pool.idle and len(self.pipelines) + self._opening < self._limit:
            try:
                connection = self.pool.idle.pop()
            except IndexError:
                break
            if connection.quiet() and self.pool.trusts(connection, now):
                return self._add(connection)
            connection.close()
        return None

    def _add(self, connection: Connection) -> Pipeline:
        pipeline = Pipeline(self, connection, self._clock, self.pool.engine.ordered)
        self.pipelines.append(pipeline)
        return pipeline

    def _open(self) -> None:
        if self._opening or len(self.pipelines) >= self._limit:
            return
        seconds = half(self._waiting[0].deadline, self._clock())
        try:
            made = get_running_loop().run_in_executor(None, self.pool.open, seconds)
        except RuntimeError as error:  # The loop is shutting down.
            self._fail(NodeUnreachable(str(error), node=self.pool.node.name))
        else:
            self._opening = True
            made.add_done_callback(partial(self._opened, tuple(self._waiting)))

    def _opened(self, asked: Sequence[Exchange], made: "Future[Connection]") -> None:
        self._opening = False
        try:
            connection = made.result()
        except NodeUnreachable as failure:
            # Those that came later have more time than this attempt was given.
            later = [exchange for exchange in self._waiting if exchange not in asked]
            self._waiting = [exchange for exchange in self._waiting if exchange in asked]
            self._fail(failure)
            self.homeless(later)
            return
        except CancelledError:
            self._fail(NodeUnreachable("the loop is ending", node=self.pool.node.name))
            return
        if self._closed:
            connection.close()
            return
        self._add(connection)
        self.caught_up()

    def _fail(self, failure: NodeFailure) -> None:
        waiting, self._waiting = self._waiting, []
        for exchange in waiting:
            exchange.fail(failure)

    # What a pipeline says

    def homeless(self, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            self.submit(exchange)

    def caught_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.homeless(waiting)

    def ended(self, pipeline: Pipeline) -> None:
        self.pipelines.remove(pipeline)
        if self._waiting:
            self._open()

    # What the loop says

    @property
    def next_deadline(self) -> float:
        deadlines = [exchange.deadline for exchange in self._waiting]
        return min(deadlines + [pipeline.next_deadline for pipeline in self.pipelines], default=float("inf"))

    def expire(self, now: float) -> None:
        due = [exchange for exchange in self._waiting if exchange.deadline <= now]
        self._waiting = [exchange for exchange in self._waiting if exchange.deadline > now]
        for pipeline in list(self.pipelines):
            pipeline.expire(now)
        for exchange in due:
            exchange.fail(too_late(exchange.node))

    def retire(self) -> None:
        """The node has left the fleet, or has another address now: what was sent may still be answered."""
        self._closed = True
        self._fail(NodeUnreachable("it left the fleet", node=self.pool.node.name))
        for pipeline in list(self.pipelines):
            pipeline.retire()

    def close(self) -> None:
        self._closed = True
        for pipeline in self.pipelines:
            connection = pipeline.release()
            if connection:
                self.pool.give_back(connection)
        self.pipelines.clear()


class LoopTransport:
    """The pools of one loop."""

    def __init__(self, transport: Transport, limit: int):
        self._transport, self._limit = transport, limit
        self._pools: dict[str, LoopPool] = {}
        self._retired: list[LoopPool] = []
        """Of nodes that left the fleet while something was under way to them."""
        self._alarm_at = float("inf")

    def ask(
        self, name: str, commands: Sequence[Command], deadline: float, answered: Callable[[str, Answers], Any]
    ) -> None:
        """Have `answered(name, replies)` called: at the deadline at the latest, and maybe before this returns."""
        pool = self._pool(name)
        if pool is None:
            answered(name, [NotServed(node=name)] * len(commands))
            return
        breaker = pool.pool.breaker
        exchange = Exchange(pool.pool, commands, deadline, answered, name)
        if deadline == NO_TIME:
            exchange.fail(too_late(name))
            return
        if not breaker.admits():
            exchange.fail(pool.pool.down())
            return
        pool.submit(exchange)
        if not exchange.done and deadline < self._alarm_at:
            self._set_alarm(deadline)

    def _pool(self, name: str) -> LoopPool | None:
        ours, pool = self._pools.get(name), self._transport.pool(name)
        if ours and ours.pool is pool:
            return ours
        if ours:
            del self._pools[name]
            ours.retire()
            self._retired.append(ours)
        if pool:
            ours = self._pools[name] = LoopPool(pool, self._limit, self._transport.clock)
            return ours
        return None

    def _set_alarm(self, deadline: float) -> None:
        # One timer for all, set for the earliest and never cancelled: cheaper than one for every batch.
        self._alarm_at = deadline
        get_running_loop().call_later(max(0.0, deadline - self._transport.clock()), self._expire, deadline)

    def _expire(self, alarm: float) -> None:
        if alarm != self._alarm_at:
            return
        self._alarm_at = float("inf")
        now = self._transport.clock()
        pools = [*self._pools.values(), *self._retired]
        for pool in pools:
            pool.expire(now)
        earliest = min((pool.next_deadline for pool in pools), default=float("inf"))
        if earliest < self._alarm_at:
            self._set_alarm(earliest)

    def sweep(self) -> None:
        """Let go of nodes that left the fleet."""
        for name in list(self._pools):
            self._pool(name)
        self._retired = [pool for pool in self._retired if pool.pipelines]

    def forget(self) -> None:
        """Only close the descriptors: the loop is another process's, or gone."""
        for pool in (*self._pools.values(), *self._retired):
            for pipeline in pool.pipelines:
                pipeline.connection.forget()

    @property
    def connections(self) -> dict[str, int]:
        """How many there are to each node."""
        return {name: len(pool.pipelines) for name, pool in self._pools.items()}

    def close(self) -> None:
        """The loop ends."""
        for pool in (*self._pools.values(), *self._retired):
            pool.close()
        self._pools.clear()
        self._retired.clear()
