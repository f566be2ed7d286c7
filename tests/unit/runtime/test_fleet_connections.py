"""The driver's connections: kept, replaced when they are stale, and closed when their replies are in doubt."""

import pytest

from django_dcache.commands import Value
from django_dcache.flows import Item
from django_dcache.flows.load import fetch_or_load
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.transport.breaker import State
from support.fleet_in_memory import closed, make_fleet, pool
from support.scripted_rounds import K, ask, hit, leases, silent, steps

# Connections


def test_connections_come_back():
    """One connection serves one operation after the other."""
    fleet = make_fleet(hit)
    for _ in range(5):
        assert fleet.run(fetch, [K]) == {K: Value(b"x", 16)}
    assert (pool(fleet).opened, len(pool(fleet).idle)) == (1, 1)


def test_one_connection_for_a_whole_flow():
    """The rounds of a flow use one connection, because leases are bound to it."""
    fleet = make_fleet(hit)
    fleet.run(steps(ask(), ask(), ask()))
    assert pool(fleet).opened == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), MemoryError(), ValueError()])
def test_interrupted(error):
    """A flow that is broken off while replies are under way closes its connections, and the error comes out."""
    fleet = make_fleet(lambda command, number: error)
    with pytest.raises(type(error)):
        fleet.run(fetch, [K])
    assert not pool(fleet).idle and pool(fleet).lines[0].closed


def test_flow_that_raises():
    """So does a flow that raises by itself."""

    def flow(view):
        yield ask()
        raise LookupError

    fleet = make_fleet(hit)
    with pytest.raises(LookupError):
        fleet.run(flow)
    assert not pool(fleet).idle and pool(fleet).lines[0].closed


# Trouble


def test_a_stale_connection_is_replaced():
    """A read over a connection that the node had closed is repeated on another."""
    fleet = make_fleet(hit)
    fleet.run(fetch, [K])
    pool(fleet).lines[0].inbox.append(closed())
    assert fleet.run(fetch, [K]) == {K: Value(b"x", 16)}
    assert pool(fleet).opened == 2 and pool(fleet).breaker.state is State.UP


def test_only_once():
    """It is repeated once, and only if the connection was old."""
    fleet = make_fleet(lambda command, number: closed())
    assert fleet.run(fetch, [K]).unanswered == 1
    assert pool(fleet).opened == 1 and pool(fleet).breaker.state is State.SUSPECT


@pytest.mark.parametrize(
    "said", [b"", b"VA 1 f16 O1\r\n", b"VA 1 f16 O1\r\nx\r", b"VA 1 f16 O7\r\nx\r\n", b"EN O0\r\n"]
)
def test_what_is_no_answer(said):
    """Garbage, half an answer, and an answer to another question are failures, and their connection is closed."""
    fleet = make_fleet(hit)
    fleet.run(fetch, [K])
    pool(fleet).lines[0]._answer = lambda command, number: [said, closed()] if said else [closed()]
    pool(fleet)._answer = lambda command, number: closed()
    assert fleet.run(fetch, [K]).unanswered == 1
    assert pool(fleet).lines[0].closed and not pool(fleet).idle


@pytest.mark.parametrize("extra", [b"x", b"EN O0\r\n", b"VA 1 f16 O0\r\nx\r\n"])
def test_more_than_was_asked_for(extra):
    """A reply that is followed by more is taken, and its connection is not used again."""
    fleet = make_fleet(lambda command, number: hit(command, number) + extra)
    assert fleet.run(fetch, [K]) == {K: Value(b"x", 16)}
    assert pool(fleet).lines[0].closed and not pool(fleet).idle


def test_a_late_answer():
    """An answer that comes when its operation is long over is nobody's: its connection was closed."""
    fleet = make_fleet(silent)
    fleet.run(fetch, [K])
    pool(fleet).lines[0].inbox.append(b"VA 5 f16 O0\r\nother\r\n")
    pool(fleet)._answer = hit
    assert fleet.run(fetch, [b"other"]) == {b"other": Value(b"x", 16)}


def test_a_stray_answer_on_an_idle_connection():
    """A reply that lies waiting on an idle connection is not taken for an answer, nor is a write sent after it."""
    fleet = make_fleet(lambda command, number: b"HD O%d\r\n" % number)
    fleet.run(write, {K: Item(0, b"a")})
    pool(fleet).lines[0].inbox.append(b"HD O1\r\n")
    assert fleet.run(write, {K: Item(0, b"b")})[K].successful
    assert [len(line.sent) for line in pool(fleet).lines] == [1, 1]


def test_three_failures():
    """After three failures a node is left alone, and is sent nothing."""
    fleet = make_fleet(silent, timeout=0.01)
    for _ in range(10):
        assert fleet.run(fetch, [K]).unanswered == 1
    assert len(pool(fleet).sent) == 3 and pool(fleet).breaker.state is State.DOWN


def test_a_refused_connection():
    """A node that refuses connections is asked once."""
    fleet = make_fleet(hit)
    pool(fleet).absent = True
    for _ in range(10):
        assert fleet.run(fetch, [K]).unanswered == 1
    assert pool(fleet).breaker.state is State.DOWN and pool(fleet).opened == 0


def test_after_a_fork():
    """A child leaves its parent's connections alone, and keeps what was learned."""
    fleet = make_fleet(hit)
    fleet.run(fetch, [K])
    view = fleet.view
    fleet.after_fork()
    assert fleet.view is view and not pool(fleet).idle
    fleet.run(fetch, [K])
    assert pool(fleet).opened == 2


def test_closing():
    """A fleet that was closed connects again when it is used."""
    fleet = make_fleet(hit)
    fleet.run(fetch, [K])
    fleet.close()
    assert pool(fleet).lines[0].closed
    assert fleet.run(fetch, [K])


def test_a_lease_does_not_outlive_its_connection():
    """A lease whose connection has ended is lost, and not used over another."""
    fleet = make_fleet(leases)

    def load():
        pool(fleet).lines[0].used = True
        pool(fleet).lines[0].inbox.append(closed())
        return Item(16, b"x")

    fleet.run(fetch_or_load, K, load)
    assert not any(command.startswith(b"ms") for command in pool(fleet).sent)
