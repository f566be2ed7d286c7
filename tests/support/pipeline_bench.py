"""A pipeline whose socket is played by the test."""

import socket

from django_dcache.commands import Get
from django_dcache.model.topology import Node
from django_dcache.testing import ManualClock
from django_dcache.transport.breaker import Breaker
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from django_dcache.transport.pipeline import Exchange, Pipeline
from django_dcache.transport.pool import Pool
from support.waiting import turn


class Bench:
    """A pipeline whose other end is in the test's hands."""

    def __init__(self):
        self.clock = ManualClock()
        ours, self.node = socket.socketpair()
        self.node.setblocking(False)
        self.pool = Pool(Node.at("node"), Limits(), Breaker(self.clock))
        self.answers: dict[str, object] = {}
        self.homes: list[Exchange] = []
        self.caught_up_times = 0
        self.ended_pipelines: list[Pipeline] = []
        connection = Connection("node", ours)
        connection.opaque = 0
        self.pipeline = Pipeline(self, connection, self.clock)

    def homeless(self, exchanges):
        self.homes += exchanges

    def caught_up(self):
        self.caught_up_times += 1

    def ended(self, pipeline):
        self.ended_pipelines.append(pipeline)

    def submit(self, label, *commands, seconds=1.0):
        """Send commands; what comes of them is in `answers[label]`."""
        commands = commands or (Get(label.encode()),)
        answered = lambda node, replies: self.answers.update({label: replies})  # noqa: E731
        self.pipeline.submit(Exchange(self.pool, commands, self.clock() + seconds, answered))

    def received(self):
        """What has arrived at the node."""
        try:
            return self.node.recv(1 << 20)
        except BlockingIOError:
            return b""

    async def reply(self, data):
        self.node.send(data)
        await turn(2)


def hit(number, data):
    return b"VA %d f0 O%d\r\n%b\r\n" % (len(data), number, data)
