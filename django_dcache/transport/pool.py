"""The connections of one node, newest first, and what the loss of one says about the node.

No lock: a deque's append and pop are atomic.
"""

from collections import Counter, deque
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from os import getpid
from time import sleep

from ..commands import Command
from ..engines import Parser, engine_of
from ..errors import NodeDown, NodeFailure, NodeTimeout, NodeUnreachable, NodeUnresolved, NotGreeted, ProtocolViolation
from ..model.topology import Node
from .breaker import Breaker, State
from .connection import Connection
from .limits import Limits
from .observer import Observer
from .outliers import mean

TRUSTED_SECONDS = 1.0
"""What was idle for longer is asked whether it is still there before anything is trusted to it, for a firewall may have
forgotten it without a word. If it has, its idle siblings are closed with it, and the node keeps its good name."""
IDLE_SECONDS = 120.0
"""What was idle for longer is closed: it is needed no more, and takes one of the connections that the node allows."""
LATE_SECONDS = 0.01
"""A process that looks at a reply so much later than it wanted to was not running: that is no fault of the node."""
CROWDED_SECONDS = 1.0
"""For so long a node that took no more connections, and answers on those it has, is not asked for another one: callers
take turns, and that some of them find none in time says nothing against it."""
LOOK_SECONDS = 0.002
"""Between two looks for a connection that comes back, where no more may be opened."""


def half(ends: float, now: float) -> float:
    """The seconds that one node may take: a node that can't be reached or does not answer leaves as much to another."""
    return (ends - now) / 2


class Full(NodeUnreachable):
    """This process has as many connections to the node as OPTIONS["max_connections"] allows."""


class Crowded(NodeUnreachable):
    """The node took no more connections a moment ago, and those it has were in use all the time."""


class Pool:
    """A connection is taken out to be used and comes back only if its last reply was complete and in step.

    One that does not come back, for whatever reason, is closed by its last reference going away: nothing to leak.
    """

    def __init__(self, node: Node, limits: Limits, breaker: Breaker, observer: Observer = Observer()):
        self.node, self.breaker, self.engine = node, breaker, engine_of(node)
        self.opened = 0
        self.failure: NodeFailure | None = None
        """The last that counted against it."""
        self.failures: Counter[str] = Counter()
        """How often it failed, by cause."""
        self.returned = ""
        """The incarnation in which the node came back with what it held before, until its slots are new."""
        self._observer = observer
        self.latency = 0.0
        """Running mean of its answers, in seconds; 0 before the first."""
        self._limits, self._clock = limits, breaker.clock
        self.idle: deque[Connection] = deque()
        """Ready for use, the one used last at the right end."""
        self._open: set[object] = set()
        self._opening: set[object] = set()
        """A token for each connection there is, idle or in use, and for each that is being made."""
        self._crowded_until = float("-inf")

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def parser(self, commands: Sequence[Command], first: int, connection: Connection) -> Parser:
        """What reads the replies to these commands, the first of which has that opaque number."""
        return self.engine.parser(commands, first, connection.serial, self._limits.most_bytes)

    def take(self, seconds: float, fresh: bool = False) -> Connection:
        """An idle connection, or (always, if `fresh`) a new one within `seconds`. Raises NodeDown, NodeUnreachable."""
        if not self.breaker.admits():
            raise self.down()
        until = self._clock() + seconds
        if self.breaker.state is State.DOWN:
            self.clear()  # A probe of what may be well by now, over what is as old as its failure?
        elif not fresh and (connection := self._idle(seconds / 2)):
            return connection
        return self.open(until - self._clock())

    def down(self) -> NodeDown:
        """What a caller is told that is not admitted."""
        failure = NodeDown(f"since its last failure it is {self.breaker.state}", node=self.node.name)
        failure.silent_seconds = self.breaker.silent_seconds
        return failure

    def _idle(self, seconds: float) -> Connection | None:
        """One that is there: one that is not trusted has `seconds` to answer a greeting."""
        while self.idle:
            try:
                connection = self.idle.pop()
            except IndexError:
                break
            now = self._clock()
            if self._there(connection, now, seconds):
                connection.used_at = now
                return connection
            connection.close()
            self.clear()  # The others are older.
        return None

    def trusts(self, connection: Connection, now: float) -> bool:
        """Whether anything may be sent over an idle connection unasked: a write that is lost costs others their values.
        It was used a moment ago, and since the node failed last, if that is not made up for."""
        failed = self.breaker.state is not State.UP and connection.used_at <= self.breaker.since
        return not failed and now - connection.used_at <= TRUSTED_SECONDS

    def _there(self, connection: Connection, now: float, seconds: float) -> bool:
        if self.trusts(connection, now):
            return True
        if now - connection.used_at > IDLE_SECONDS:
            return False
        try:
            connection.greet(seconds)
        except NodeFailure:
            return False
        self.returned = connection.returned
        return True

    def open(self, seconds: float) -> Connection:
        """A new connection within `seconds`; one that comes back, where no more can be had. Raises NodeUnreachable."""
        now, others = self._clock(), bool(self._open)
        until, crowded = now + seconds, others and now < self._crowded_until
        failure: NodeUnreachable = Crowded(node=self.node.name)
        if not crowded:
            try:
                return self._connect(max(0.001, min(seconds, self._limits.connect_timeout)))
            except NodeUnresolved as unresolved:
                self._note(unresolved)
                self._observer.node_unresolved(self.node, unresolved)
                raise
            except NodeUnreachable as refused:
                failure = refused
                # It speaks, and has greeted others: it says that it has no room.
                crowded = others and isinstance(refused.__cause__, ProtocolViolation)
                if crowded:
                    self._crowded_until = now + CROWDED_SECONDS
        late = self._clock() > until + LATE_SECONDS
        # A node that takes no more connections may well answer on those it has. It is down if none of them works.
        connection = self._next_idle(until)
        if connection:
            return connection
        if not (late or crowded or isinstance(failure, Full)):
            self.failed(failure, absent=not isinstance(failure, NotGreeted))
        raise failure

    def _connect(self, seconds: float) -> Connection:
        limits, token = self._limits, object()
        self._opening.add(token)
        try:
            # Counted before it is made, so that threads that connect together can't be too many.
            if len(self._open) + len(self._opening) > limits.max_connections:
                raise Full(f"all {limits.max_connections} are in use", node=self.node.name)
            connection = Connection.open(self.node, limits, seconds, partial(self._open.discard, token))
            self._open.add(token)
        finally:
            self._opening.discard(token)
        connection.used_at = self._clock()
        self.returned = connection.returned
        self.opened += 1
        self.failure = None
        return connection

    def _next_idle(self, until: float) -> Connection | None:
        """One that comes back, as long as there are any."""
        while self._open and self._clock() < until and self.breaker.state is not State.DOWN:
            connection = self._idle(until - self._clock())
            if connection is None:
                sleep(LOOK_SECONDS)
            elif not connection.quiet():
                connection.close()
            else:
                return connection
        return None

    @property
    def timeout(self) -> float:
        return self._limits.timeout

    def answered(self, seconds: float) -> None:
        self.latency = mean(self.latency, seconds)

    def lost(self, failure: NodeFailure, waited: float, allowed: float) -> None:
        """No usable reply came over a connection. Only what a node does counts against it, and not a reply that this
        process did not wait for, having stood still or having had hardly any time left.

        `waited`: seconds since the request was sent. `allowed`: how many it had.
        """
        if not isinstance(failure, NodeTimeout) or self._limits.timeout / 4 <= waited <= allowed + LATE_SECONDS:
            self.failed(failure)

    def failed(self, failure: NodeFailure, absent: bool = False) -> None:
        """It counts against the node."""
        self._note(failure)
        fresh = self.breaker.failing_since is None
        if self.breaker.failed(absent):
            self._observer.node_down(self.node, failure)
        if fresh:
            self._observer.node_fails()

    def _note(self, failure: NodeFailure) -> None:
        # A copy: what is raised knows the frames that it passed, and they know their connections.
        self.failure = copy(failure)
        self.failures[failure.cause] += 1

    def succeeded(self) -> None:
        """The node has answered a batch."""
        if self.breaker.state is not State.UP and (seconds := self.breaker.succeeded()) is not None:
            self._observer.node_up(self.node, seconds)

    def give_back(self, connection: Connection) -> None:
        if connection.process != getpid():
            connection.forget()  # Its flow was begun in the parent.
            return
        connection.used = True
        connection.used_at = now = self._clock()
        if len(self.idle) < self._limits.idle_connections:
            self.idle.append(connection)
        else:
            connection.close()
        self._let_go(now)

    def _let_go(self, now: float) -> None:
        try:
            if now - self.idle[0].used_at > IDLE_SECONDS:
                self.idle.popleft().close()
        except IndexError:
            pass

    def clear(self) -> None:
        """Close what is idle: its process was replaced."""
        while self.idle:
            try:
                self.idle.pop().close()
            except IndexError:
                break

    def retire(self) -> None:
        """The node left the fleet, or has another address now: what is idle is closed, and so is what comes back."""
        self._limits = replace(self._limits, idle_connections=0)
        self.clear()
        self.idle = deque(maxlen=0)

    def forget(self) -> None:
        """In a forked child: the connections belong to the parent."""
        self.breaker.after_fork()
        idle, self.idle = self.idle, deque()
        self._open, self._opening = set(), set()
        for connection in idle:
            connection.forget()
