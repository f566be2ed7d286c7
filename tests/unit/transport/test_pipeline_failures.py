"""One connection shared by many batches: what becomes of them when it fails."""

import socket

from django_dcache.commands import Get, Refused, Store, Value
from django_dcache.errors import ConnectionLost, ProtocolViolation
from django_dcache.transport.breaker import State
from support.pipeline_bench import hit
from support.waiting import turn


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
