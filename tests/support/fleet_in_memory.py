"""Connections in memory, at a clock that moves when somebody waits: a fleet without sockets and without time."""

import os
from collections import deque
from itertools import count

from django_dcache.conf import parse
from django_dcache.errors import ConnectionLost, NodeUnreachable
from django_dcache.flows import Learn
from django_dcache.model.keys import RESERVED
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Topology
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import ManualClock
from django_dcache.testing.dialogue import Splitter, command_block
from django_dcache.transport.breaker import Breaker
from django_dcache.transport.limits import Limits
from django_dcache.transport.pool import Pool

WALL = 1_700_000_000.0
_serials = count(10_000)


class Line:
    """Stands for a `Connection`. `answer`: from a command and its opaque number to bytes, None for silence, or an error
    to raise; a list of these is received one by one."""

    direct = False
    returned = ""

    def __init__(self, node, answer, clock):
        self.node, self.serial, self.opaque, self.used, self.used_at = node, next(_serials), 0, False, float("-inf")
        self.sent, self.inbox, self.closed = [], deque(), False
        self.process = os.getpid()
        self.poller = self
        self._answer, self._clock, self._splitter = answer, clock, Splitter(command_block)

    def send(self, data):
        assert not self.closed
        for unit in self._splitter.feed(bytes(data)):
            self.sent.append(unit)
            line = unit.split(b"\r\n")[0]
            number = next((int(part[1:]) for part in line.split(b" ")[2:] if part[:1] == b"O"), -1)
            replies = self._answer(unit, number)
            self.inbox += replies if isinstance(replies, list) else [] if replies is None else [replies]
        return len(data)

    def receive(self):
        if not self.inbox:
            return None
        reply = self.inbox.popleft()
        if isinstance(reply, BaseException):
            raise reply
        if callable(reply):
            return reply()
        return reply

    def poll(self, milliseconds):
        if not self.inbox and milliseconds:
            self._clock.advance(milliseconds / 1000)
        return [1] if self.inbox else []

    def quiet(self):
        return not self.inbox

    def greet(self, seconds):
        pass

    def close(self):
        self.closed = True

    forget = close


class Exchange(Pool):
    """A pool whose connections are lines. `absent`: nothing listens there."""

    def __init__(self, node, answer, clock, timeout=0.25):
        super().__init__(node, Limits(timeout), Breaker(clock, lambda: 0.5))
        self.lines, self.absent = [], False
        self._answer, self._clock = answer, clock

    def open(self, seconds):
        if self.absent:
            self.breaker.failed(absent=True)
            raise NodeUnreachable(node=self.node.name)
        self.opened += 1
        self.lines.append(Line(self.node.name, self._answer, self._clock))
        self.lines[-1].used_at = self._clock()
        return self.lines[-1]

    @property
    def sent(self):
        """Every command that reached the node."""
        return [command for line in self.lines for command in line.sent]


def make_fleet(answer, location="n", proven=True, **options):
    """A fleet whose every node answers by `answer`, proven for the next half second unless told otherwise."""
    clock = ManualClock()
    configuration = parse("f", location, options)
    fleet = Fleet(configuration, clock, lambda: WALL)
    for name, node in fleet.view.state.topology.nodes.items():
        fleet.transport.pools()[name] = Exchange(node, answer, clock, configuration.options.timeout)
    if proven:
        fleet.learn(Learn(FleetState(Topology(1, configuration.layout)), clock.now))
        fleet.tried_to_prove(True, clock.now)
    return fleet


def pool(fleet, name="n"):
    return fleet.transport.pools()[name]


def about_state(command):
    """Whether a command is about the fleet state."""
    return command.split(b" ")[1].startswith(RESERVED)


def closed():
    """What a connection raises when its node has closed it."""
    return ConnectionLost("closed by the node", node="n")
