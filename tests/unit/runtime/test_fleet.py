"""The driver: deadlines, what it learns and owes, and what becomes of connections."""

import logging
import threading
from dataclasses import replace

import pytest

from django_dcache.commands import Get, Value
from django_dcache.conf import parse
from django_dcache.errors import NodeTimeout
from django_dcache.flows import Brief, Item, Learn, Owe, Urgent
from django_dcache.flows.load import fetch_or_load
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model.documents import UNSIGNED
from django_dcache.model.keys import position
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.model.view import Standing
from django_dcache.transport.breaker import State
from support.fleet_in_memory import about_state, closed, make_fleet, pool

K = b"k"
HALF = 0.5
"""Half of `freshness`: after that a view is proven again."""


def hit(command, number):
    return b"VA 1 f16 O%d\r\nx\r\n" % number


def silent(command, number):
    return None


def steps(*several):
    """A flow of these steps; its result is what came of them."""

    def flow(view):
        answers = []
        for step in several:
            answers.append((yield step))
        return answers

    return flow


def ask(kind=dict, node="n", name=K):
    """A round of one read."""
    return kind({node: [Get(name)]})


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


# Loading


def leases(command, number):
    """A node that has nothing and gives everybody a lease."""
    if b" N" in command:
        return b"VA 0 c7 f0 O%d W\r\n\r\n" % number
    return (b"EN O%d\r\n" if command.startswith(b"mg") else b"HD O%d\r\n") % number


def test_loading():
    """A loader may take its time: what it returns is stored over the connection that gave the lease."""
    fleet = make_fleet(leases)

    def load():
        fleet.clock.advance(0.4)
        return Item(16, b"x")

    fleet.run(fetch_or_load, K, load)
    assert pool(fleet).sent[-1] == b"ms k 1 F16 T0 O2 C7\r\nx\r\n"
    assert (pool(fleet).opened, len(pool(fleet).idle)) == (1, 1)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_loader_that_raises(error):
    """What a loader raises comes out as it is; the lease is given back, and the connection is as good as before."""
    fleet = make_fleet(leases)

    def load():
        raise error

    with pytest.raises(type(error)) as raised:
        fleet.run(fetch_or_load, K, load)
    assert raised.value is error
    assert pool(fleet).sent[-1] == b"md k O2 C7\r\n"
    assert len(pool(fleet).idle) == 1


def test_loader_that_uses_the_cache():
    """A loader may use the cache: it gets a connection of its own."""
    fleet = make_fleet(lambda command, number: leases(command, number) if b" k " in command else hit(command, number))
    fleet.run(fetch_or_load, K, lambda: fleet.run(fetch, [b"other"]) and Item(16, b"x"))
    assert pool(fleet).opened == 2 and len(pool(fleet).idle) == 2


def test_view_after_loading():
    """After a long load the flow goes on by a view that is proven again."""
    asked = []

    def answer(command, number):
        if not about_state(command):
            return leases(command, number)
        asked.append(command)
        return None

    fleet = make_fleet(answer)

    def load():
        assert not asked
        fleet.clock.advance(10)
        return None

    fleet.run(fetch_or_load, K, load)
    assert asked


# Deadlines


def test_a_silent_node():
    """A node that does not answer costs one timeout, and its connection."""
    fleet = make_fleet(silent)
    began = fleet.clock()
    assert fleet.run(fetch, [K]).unanswered == 1
    assert fleet.clock() - began == pytest.approx(0.25, abs=0.001)
    assert pool(fleet).lines[0].closed and not pool(fleet).idle


def test_one_deadline_for_all_rounds():
    """What is not sent by the deadline is not sent at all, and fails as not sent."""
    fleet = make_fleet(silent)
    first, second = fleet.run(steps(ask(), ask()))
    assert isinstance(first["n"][0], NodeTimeout) and first["n"][0].sent
    assert isinstance(second["n"][0], NodeTimeout) and not second["n"][0].sent
    assert len(pool(fleet).sent) == 1


def test_what_is_urgent_has_its_own_time():
    """A round that prevents a stale value is carried even if the operation's time is used up."""
    fleet = make_fleet(lambda command, number: hit(command, number) if b"urgent" in command else None)
    _, urgent = fleet.run(steps(ask(), ask(Urgent, name=b"urgent")))
    assert urgent["n"] == [Value(b"x", 16)]


def test_what_is_brief_leaves_half():
    """A brief round leaves half of the time to the next one."""
    fleet = make_fleet(lambda command, number: hit(command, number) if b"next" in command else None)
    began = fleet.clock()
    brief, after = fleet.run(steps(ask(Brief), ask(name=b"next")))
    assert isinstance(brief["n"][0], NodeTimeout) and after["n"] == [Value(b"x", 16)]
    assert fleet.clock() - began == pytest.approx(0.125, abs=0.001)


def test_time_used_before():
    """An operation that has used a part of its time already gets the rest."""
    fleet = make_fleet(silent)
    began = fleet.clock()
    fleet.clock.advance(0.15)
    fleet.run(fetch, [K], began=began)
    assert fleet.clock() - began == pytest.approx(0.25, abs=0.001)


def test_a_node_that_never_stops_talking():
    """A node whose reply does not end costs no more than one that sends nothing."""
    fleet = make_fleet(silent)
    clock = fleet.clock

    def flood():
        assert clock.advance(0.01) < began + 1
        pool(fleet).lines[0].inbox.append(flood)
        return b"x" * 1000

    began = clock()
    pool(fleet)._answer = lambda command, number: [b"VA 1000000000 f0 O%d\r\n" % number, flood]
    assert fleet.run(fetch, [K]).unanswered == 1
    assert clock() - began < 0.3


# What it learns


def test_learning():
    """A newer topology is swapped in whole: the view, the nodes that are spoken to, and their connections."""
    fleet = make_fleet(hit, "n,m")
    fleet.run(steps(ask()))
    kept, gone = pool(fleet, "m"), pool(fleet, "n")
    target = Layout((Node.at("m"), Node.at("o")))
    fleet.run(steps(Learn(FleetState(Topology(9, target)), fleet.clock())))
    assert fleet.view.epoch == 9
    assert set(fleet.transport.pools()) == {"m", "o"}
    assert pool(fleet, "m") is kept
    assert gone.lines[0].closed


def test_a_node_with_another_address():
    """A name that moves to another address is another process: nothing is said to the old one any more."""
    fleet = make_fleet(hit)
    old = pool(fleet)
    moved = Layout((Node("n", "10.0.0.9:11211"),))
    fleet.run(steps(Learn(FleetState(Topology(2, moved)))))
    assert pool(fleet) is not old


def test_debts():
    """What could not be told is remembered, and counted."""
    fleet = make_fleet(hit)
    slot = ("n", position(K).slot)
    fleet.run(steps(Owe({slot: 1})))
    assert fleet.view.standing(*slot) is Standing.OWED
    assert fleet.counters["bumps_owed"] == 1


def test_a_lost_write_is_owed_and_paid():
    """A write whose bump nobody hears has failed; once the keeper answers again the debt is paid first of all."""
    fleet = make_fleet(silent)
    slot = ("n", position(K).slot)
    assert not fleet.run(write, {K: None})[K].acknowledged
    assert fleet.view.debts == {slot: 1}
    document = []

    def answer(command, number):
        if command.startswith(b"ms"):
            document.append(command)
        return (b"EN O%d\r\n" if command.startswith(b"mg") else b"HD O%d\r\n") % number

    pool(fleet)._answer = answer
    fleet.clock.advance(10)
    fleet.run(fetch, [K])
    assert not fleet.view.debts
    assert b'"above":{"%d":1}' % slot[1] in document[-2]
    assert b":trace " in document[-1]


# Proofs


def keeper(fleet_state, asked):
    """A node that keeps the fleet state and notes when it was asked for it."""
    from zlib import crc32

    def answer(command, number):
        if about_state(command):
            asked.append(command)
            return b"HD s1 f%d O%d\r\n" % (crc32(fleet_state().encode()), number)
        return hit(command, number)

    return answer


def test_a_busy_process():
    """A busy process proves its view once in half of `freshness`."""
    asked = []
    fleet = make_fleet(keeper(lambda: fleet.view.state, asked))
    for _ in range(100):
        fleet.run(fetch, [K])
        fleet.clock.advance(0.05)
    assert len(asked) == pytest.approx(5 / HALF, abs=1)
    assert fleet.proven and fleet.staleness_bound() < 1.25


def test_a_failed_proof():
    """A proof that fails is not tried again by every call, and is counted and logged."""
    fleet = make_fleet(lambda command, number: None if about_state(command) else hit(command, number), proven=False)
    for _ in range(100):
        fleet.run(fetch, [K])
    assert fleet.counters["unproven"] == 1 and not fleet.proven
    fleet.clock.advance(HALF)
    fleet.run(fetch, [K])
    assert fleet.counters["unproven"] == 2


def test_a_failed_proof_is_logged(caplog):
    """A log line says that the fleet state could not be proven, and what is done instead."""
    fleet = make_fleet(silent, proven=False)
    with caplog.at_level(logging.WARNING, "django_dcache"):
        fleet.run(fetch, [K])
    assert [record.action for record in caplog.records] == ["state_unproven"]
    assert "on_unproven='miss'" in caplog.text


def test_the_first_proof():
    """A process that could not prove anything yet tries again soon."""
    fleet = make_fleet(silent, proven=False)
    began = fleet.begin()
    assert 0 < fleet.renew_at - began <= 0.05


def test_another_projects_fleet(caplog):
    """Where the nodes hold another project's fleet nothing is found, and the log says what to set."""
    theirs = FleetState(Topology(1, parse("f", "n").layout)).owned_by(["theirs"]).encode()

    def answer(command, number):
        return b"VA %d f0 c1 O%d\r\n%b\r\n" % (len(theirs), number, theirs)

    fleet = make_fleet(answer, proven=False)
    fleet.view = replace(fleet.view, owners=("ours",), documents=UNSIGNED)
    with caplog.at_level(logging.ERROR, "django_dcache"):
        for _ in range(3):
            fleet.clock.advance(10)
            fleet.begin()
    assert not fleet.proven and fleet.view.epoch == 0
    assert [record.action for record in caplog.records if record.levelname == "ERROR"] == ["state_refused"]
    assert 'OPTIONS["fleet"]' in caplog.text


def test_a_refused_state(caplog):
    """A keeper whose state is not to be believed is counted each time, and named in the log once a minute."""
    forged = FleetState(Topology(9, parse("f", "6.6.6.6").layout)).encode()
    answer = b"VA %d f0 c1 O%%d\r\n%b\r\n" % (len(forged), forged)
    fleet = make_fleet(lambda command, number: answer % number, proven=False)
    with caplog.at_level(logging.ERROR, "django_dcache"):
        for _ in range(13):
            fleet.begin()
            fleet.clock.advance(10)
    assert list(fleet.view.state.topology.nodes) == ["n"]
    assert fleet.counters["refused_states"] == 13
    records = [record for record in caplog.records if record.action == "state_refused"]
    assert [record.node for record in records] == ["n"] * 3
    assert "not signed" in caplog.text and "state repair" in caplog.text


def test_an_interrupted_proof():
    """A proof that is broken off stops nobody after it."""
    fleet = make_fleet(lambda command, number: KeyboardInterrupt(), proven=False)
    with pytest.raises(KeyboardInterrupt):
        fleet.run(fetch, [K])
    pool(fleet)._answer = hit
    assert fleet.run(fetch, [K]) == {K: Value(b"x", 16)}


@pytest.mark.parametrize(("age", "waits"), [(0.7, False), (1.1, True)])
def test_one_caller_proves(age, waits):
    """While one caller renews a proof that is still good, the others go on; one that is too old is waited for."""
    asking, told = threading.Event(), threading.Event()
    asked = []

    def slow(command, number):
        asking.set()
        told.wait(10)
        return real(command, number)

    fleet = make_fleet(lambda command, number: slow(command, number) if about_state(command) else hit(command, number))
    real = keeper(lambda: fleet.view.state, asked)
    fleet.clock.advance(age)
    prover = threading.Thread(target=fleet.run, args=(fetch, [K]))
    prover.start()
    asking.wait(10)
    other = threading.Thread(target=fleet.run, args=(fetch, [K]))
    other.start()
    other.join(0.2 if waits else 10)
    assert other.is_alive() is waits
    told.set()
    prover.join(10)
    other.join(10)
    assert len(asked) == 1


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
