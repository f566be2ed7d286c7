"""One connection shared by many batches: what leaves when, whose reply is whose, and what becomes of the rest."""

import asyncio
import socket

import pytest

from django_dcache.commands import Get, Refused, Store, Value
from django_dcache.errors import ConnectionLost, NodeTimeout, ProtocolViolation
from django_dcache.model.topology import Node
from django_dcache.testing import ManualClock
from django_dcache.transport.breaker import Breaker, State
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


@pytest.fixture
def on_bench():
    """Runs a coroutine function with a bench."""

    def run(scenario):
        async def main():
            bench = Bench()
            try:
                await scenario(bench)
            finally:
                if not bench.pipeline.closed:
                    connection = bench.pipeline.release()
                    if connection:
                        connection.close()
                bench.node.close()

        asyncio.run(main())

    return run


def test_a_quiet_connection_sends_at_once(on_bench):
    """The first batch leaves before anything else happens on the loop."""

    async def scenario(bench):
        bench.submit("a")
        assert bench.received() == b"mg a v f O0\r\n"

    on_bench(scenario)


def test_a_busy_connection_sends_once_a_turn(on_bench):
    """Batches that come while another is under way leave together, and each gets its own reply."""

    async def scenario(bench):
        for label in "abcd":
            bench.submit(label)
        assert bench.received() == b"mg a v f O0\r\n"
        await turn()
        assert bench.received() == b"mg b v f O1\r\nmg c v f O2\r\nmg d v f O3\r\n"
        await bench.reply(b"".join(hit(number, label) for number, label in enumerate((b"A", b"B", b"C", b"D"))))
        assert bench.answers == {label: [Value(label.upper().encode())] for label in "abcd"}

    on_bench(scenario)


def test_replies_in_any_pieces(on_bench):
    """Replies may be cut anywhere."""

    async def scenario(bench):
        bench.submit("a", Get(b"a"), Get(b"b"))
        bench.submit("c")
        for byte in hit(0, b"A" * 5) + hit(1, b"") + hit(2, b"C"):
            assert "c" not in bench.answers
            await bench.reply(bytes([byte]))
        assert bench.answers == {"a": [Value(b"AAAAA"), Value(b"")], "c": [Value(b"C")]}

    on_bench(scenario)


def test_a_late_reply_is_nobodys(on_bench):
    """A batch whose time is up fails; its reply is dropped when it comes, and the one behind it gets its own."""

    async def scenario(bench):
        bench.submit("late", seconds=1)
        bench.submit("patient", seconds=2)
        await turn()
        bench.pipeline.expire(bench.clock.advance(1.5))
        assert isinstance(bench.answers["late"][0], NodeTimeout) and bench.answers["late"][0].sent
        assert not bench.pipeline.open and not bench.pipeline.closed
        await bench.reply(hit(0, b"LATE") + hit(1, b"PATIENT"))
        assert bench.answers["patient"] == [Value(b"PATIENT")]
        assert bench.pipeline.open and bench.caught_up_times == 1

    on_bench(scenario)


def test_the_last_to_wait_closes_the_door(on_bench):
    """A connection with nobody left to wait for is closed: its replies are of no use."""

    async def scenario(bench):
        bench.submit("a")
        bench.submit("b")
        await turn()
        bench.pipeline.expire(bench.clock.advance(2))
        assert all(isinstance(bench.answers[label][0], NodeTimeout) for label in "ab")
        assert bench.pipeline.closed and bench.ended_pipelines == [bench.pipeline]

    on_bench(scenario)


def test_what_has_arrived_counts(on_bench):
    """A loop that was busy with something else reads before it gives anything up."""

    async def scenario(bench):
        bench.submit("a")
        bench.node.send(hit(0, b"A"))
        bench.pipeline.expire(bench.clock.advance(2))
        assert bench.answers == {"a": [Value(b"A")]}

    on_bench(scenario)


def test_what_leaves_late(on_bench):
    """A batch that a busy loop sends after its deadline still leaves its node some time."""

    async def scenario(bench):
        bench.submit("a", seconds=9)
        bench.submit("b", seconds=1)
        now = bench.clock.advance(2)
        await turn()
        assert bench.received() == b"mg a v f O0\r\nmg b v f O1\r\n"
        bench.pipeline.expire(now)
        assert not bench.answers
        bench.pipeline.expire(bench.clock.advance(0.2))
        assert isinstance(bench.answers["b"][0], NodeTimeout) and bench.answers["b"][0].sent

    on_bench(scenario)


def test_half_a_batch_is_never_completed_late(on_bench):
    """When the node takes only a part of a batch until its time is up, for ten megabytes a second more, the connection
    is closed."""

    async def scenario(bench):
        large = Store(b"large", 0, bytes(10_000_000))
        bench.submit("large", large, seconds=1)
        bench.submit("behind", seconds=9)
        await turn()
        assert 0 < len(bench.received()) < 10_000_000
        bench.pipeline.expire(bench.clock.advance(1.9))
        assert not bench.answers
        bench.pipeline.expire(bench.clock.advance(0.2))
        assert bench.answers["large"][0].sent
        assert bench.pipeline.closed
        assert [exchange.commands for exchange in bench.homes] == [(Get(b"behind"),)]

    on_bench(scenario)


def test_a_long_batch_goes_through(on_bench):
    """What the kernel does not take at once follows as the node reads, and the batch behind it comes after it."""

    async def scenario(bench):
        bench.submit("large", Store(b"large", 0, bytes(3_000_000)), seconds=60)
        bench.submit("behind", seconds=60)
        received = b""
        while not received.endswith(b"mg behind v f O1\r\n"):
            received += bench.received()
            await turn()
        await bench.reply(b"HD O0\r\n" + hit(1, b"B"))
        assert bench.answers["behind"] == [Value(b"B")]

    on_bench(scenario)


def test_an_error_line_is_the_last_word(on_bench):
    """After an error line, what is under way is still answered, and nothing more is sent on this connection."""

    async def scenario(bench):
        bench.submit("refused", Store(b"k", 0, b"v"))
        bench.submit("behind")
        await turn()
        await bench.reply(b"SERVER_ERROR object too large for cache\r\n")
        assert isinstance(bench.answers["refused"][0], Refused)
        assert not bench.pipeline.open and not bench.pipeline.closed
        bench.submit("next")
        await turn()
        assert [exchange.commands for exchange in bench.homes] == [(Get(b"next"),)]
        await bench.reply(hit(1, b"B"))
        assert bench.answers["behind"] == [Value(b"B")]
        assert bench.pipeline.closed

    on_bench(scenario)


def test_a_reply_to_another_command_fails_all(on_bench):
    """A connection that is out of step is closed, and nobody in its line gets anything but a failure."""

    async def scenario(bench):
        bench.submit("a")
        bench.submit("b")
        await turn()
        await bench.reply(hit(1, b"B"))
        assert all(isinstance(bench.answers[label][0], ProtocolViolation) for label in "ab")
        assert bench.pipeline.closed and bench.pool.breaker.state is State.SUSPECT

    on_bench(scenario)


def test_a_word_nobody_asked_for(on_bench):
    """An idle connection that speaks is closed."""

    async def scenario(bench):
        await bench.reply(hit(0, b"A"))
        assert bench.pipeline.closed and bench.pool.breaker.state is State.UP

    on_bench(scenario)


def test_a_node_that_closes_in_between(on_bench):
    """A read that meets the end of a connection that had served before may be repeated, once; a write may not."""

    async def scenario(bench):
        bench.submit("first")
        await bench.reply(hit(0, b"F"))
        bench.submit("read")
        bench.submit("write", Store(b"k", 0, b"v"))
        await turn()
        bench.node.shutdown(socket.SHUT_RDWR)
        await turn(2)
        assert [exchange.commands for exchange in bench.homes] == [(Get(b"read"),)]
        assert bench.homes[0].repeated
        assert isinstance(bench.answers["write"][0], ConnectionLost) and "read" not in bench.answers

    on_bench(scenario)


def test_a_fresh_connection_is_not_excused(on_bench):
    """What fails on a connection that never served is not repeated."""

    async def scenario(bench):
        bench.submit("read")
        bench.node.shutdown(socket.SHUT_RDWR)
        await turn(2)
        assert isinstance(bench.answers["read"][0], ConnectionLost) and not bench.homes

    on_bench(scenario)


def test_a_write_looks_first(on_bench):
    """A write finds out that the node has closed an idle connection before it is sent."""

    async def scenario(bench):
        assert bench.pipeline.still_there()
        bench.node.shutdown(socket.SHUT_RDWR)
        assert not bench.pipeline.still_there()
        assert bench.pipeline.closed

    on_bench(scenario)
