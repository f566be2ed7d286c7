"""The connections to one node: which are trusted, how many there are, and what their loss says about the node."""

import socket
import subprocess
import sys
import threading
from time import monotonic

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.conf import parse
from django_dcache.errors import NodeTimeout, NodeUnresolved, NotGreeted
from django_dcache.model.topology import Node
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy, LocalNode, ScriptedNode
from django_dcache.transport.breaker import State
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from django_dcache.transport.nodes import Transport
from django_dcache.transport.pool import IDLE_SECONDS, TRUSTED_SECONDS
from support.checkout import CHECKOUT
from support.stopwatch import Stopwatch


class Paths:
    """Two networks to one node; new connections take the present one."""

    def __init__(self, old: FaultProxy, new: FaultProxy):
        self.old, self.new, self.present = old, new, old

    def __call__(self, address: str) -> str:
        return self.present.address


@pytest.fixture
def paths(node):
    with FaultProxy(node.address) as old, FaultProxy(node.address) as new:
        yield Paths(old, new)


@pytest.fixture
def aged(node, paths):
    """A cache with several idle connections, whose clock can be moved."""
    clock = lambda: monotonic() + clock.ahead  # noqa: E731
    clock.ahead = 0.0
    cache = DistributedCache([node.address], {})
    cache.fleet = Fleet(parse("default", [node.address], {"address_remap": paths}), clock)
    pool = cache.fleet.transport.pool(node.address)
    assert cache.set("key", "value", None)
    pool.idle.extend([pool.open(5) for _ in range(8)])
    yield cache, pool, clock
    cache.fleet.close()


def test_what_comes_back_when_the_node_has_left(node):
    """Connections that were in use while their node left the fleet are closed, and not kept for it."""
    transport, name = Transport(), node.name
    transport.serve({name: Node.at(node.address)})
    pool = transport.pool(name)
    of_a_flow, of_a_short_cut = pool.take(5), pool.take(5)
    transport.serve({})
    pool.give_back(of_a_flow)
    pool.idle.append(of_a_short_cut)
    assert of_a_flow.fileno() == -1 and not pool.idle
    transport.serve({name: Node.at(node.address)})
    transport.pool(name).give_back(of_a_short_cut)
    assert len(transport.pool(name).idle) == 1, "what comes back to a node of the fleet is kept"
    transport.pool(name).clear()


@pytest.mark.timing
def test_what_a_firewall_forgot(aged, paths):
    """Idle connections that lead nowhere cost one slow call: not the node its good name, nor anybody a value."""
    cache, pool, clock = aged
    paths.old.blackhole("both")
    paths.present = paths.new
    clock.ahead += 10 * TRUSTED_SECONDS
    with Stopwatch() as watch:
        assert cache.get("key") in ("value", None)
        assert cache.set("key", "newer", None) or cache.set("key", "newer", None)
        assert cache.get("key") == "newer"
    assert watch.own < 2.0 and pool.breaker.state is State.UP
    assert not [*cache.fleet.view.state.unsettled()]


def test_a_write_is_not_trusted_to_what_was_idle_for_long(aged, paths):
    """Before a write the node is asked, over the old connection: nothing is lost, and nothing has to be disowned."""
    cache, pool, clock = aged
    cache.fleet.proven_view()
    clock.ahead += 0.4  # The proof holds.
    for connection in pool.idle:
        connection.used_at -= 2 * TRUSTED_SECONDS
    paths.old.blackhole("both")
    paths.present = paths.new
    assert cache.set("key", "newer", None)
    assert pool.breaker.state is State.UP and not [*cache.fleet.view.state.unsettled()]


def test_a_write_is_not_trusted_to_a_node_that_just_failed(aged, paths):
    """Once a write was lost, the next one is sent only over a connection that the node has answered on since."""
    cache, pool, clock = aged
    cache.fleet.proven_view()
    pool.failed(NodeTimeout())
    paths.old.blackhole("both")
    paths.present = paths.new
    assert pool.breaker.state is State.SUSPECT and cache.set("key", "newer", None)
    assert pool.breaker.state is State.UP and not [*cache.fleet.view.state.unsettled()]


def test_what_is_needed_no_more_is_closed(aged):
    """A connection that was idle for two minutes is closed."""
    cache, pool, clock = aged
    clock.ahead += IDLE_SECONDS + 1
    for _ in range(12):
        cache.get("key")
    assert len(pool.idle) == 1


def test_no_more_connections_than_allowed(node):
    """Threads share `max_connections`: they wait for one that comes back, and none fails."""
    cache = DistributedCache([node.address], {"OPTIONS": {"max_connections": 3, "timeout": 5.0}})
    done = []

    def work(number):
        for turn in range(20):
            done.append(cache.set(f"{number}-{turn}", turn, None) and cache.get(f"{number}-{turn}") == turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (pool,) = cache.fleet.transport.pools().values()
    assert all(done) and len(done) == 200 and pool.opened == 3
    cache.fleet.close()


def test_a_node_that_takes_no_more_connections():
    """A node that refuses new connections and answers on those it has is not down: callers take turns."""
    with LocalNode() as node, FaultProxy(node.address) as proxy:
        options = {"address_remap": lambda _: proxy.address, "timeout": 5.0}
        cache = DistributedCache([node.address], {"OPTIONS": options})
        assert cache.set("key", 0, None)
        proxy.refuse()
        done = []

        def work():
            for _ in range(20):
                done.append(cache.set("key", 1, None) and cache.get("key") == 1)

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (pool,) = cache.fleet.transport.pools().values()
        assert all(done) and len(done) == 100 and pool.breaker.state is State.UP
        proxy.drop_connections()
        assert cache.get("key") is None and pool.breaker.state is State.DOWN
        cache.fleet.close()


def test_a_node_at_its_limit():
    """A memcached that has no room for another connection is not down, even where callers wait for theirs in vain."""
    with LocalNode(extra=["-c", "16"]) as node:
        cache = DistributedCache([node.address], {"OPTIONS": {"timeout": 0.1, "freshness": 60.0}})
        assert cache.set("key", 0, None)
        (pool,) = cache.fleet.transport.pools().values()
        held, others = [pool.open(5.0) for _ in range(4)], []
        for connection in held:
            pool.give_back(connection)
        host, port = node.address.split(":")
        while not others or others[-1].recv(2) == b"MN":
            others.append(socket.create_connection((host, int(port))))
            others[-1].sendall(b"mn\r\n")
        held = [pool.take(5.0) for _ in held]
        assert not any(cache.set(f"key-{number}", 1, None) for number in range(8))
        assert pool.breaker.state is State.UP
        pool.give_back(held.pop())
        assert all(cache.set("key", number, None) for number in range(8))
        for stream in (*others, *held):
            stream.close()
        cache.fleet.close()


@pytest.mark.parametrize(
    "said", [b"ERROR Too many open connections\r\n", b"CLIENT_ERROR unauthenticated\r\n", b"ERROR\r\n"]
)
def test_what_is_no_greeting(said):
    """A server that is full, wants a login, or knows no meta commands says so before anything is asked of it."""
    with ScriptedNode(said, greets=False) as server, pytest.raises(NotGreeted, match=said.split()[0].decode()):
        Connection.open(Node.at(server.address), Limits(), 5.0)


def test_all_addresses_of_a_name_are_tried(node):
    """`localhost` may be ::1 first, and the node listen on 127.0.0.1 only."""
    port = Node.at(node.address).endpoints[0][1]
    connection = Connection.open(Node.at(f"localhost:{port}"), Limits(), 5.0)
    assert connection.socket.getpeername()[1] == port
    connection.close()


def test_a_name_without_an_address():
    """A name that nobody knows is no failure of its node."""
    cache = DistributedCache(["no-such-node.invalid:11211"], {})
    (pool,) = cache.fleet.transport.pools().values()
    with pytest.raises(NodeUnresolved, match=r"no-such-node\.invalid"):
        pool.open(5.0)
    assert pool.breaker.state is State.UP


def test_what_is_given_up_is_not_delivered(node):
    """A connection is closed by a reset, and the kernel tries to deliver for no longer than a timeout."""
    connection = Connection.open(Node.at(node.address), Limits(timeout=0.25), 5.0)
    option = connection.socket.getsockopt
    assert option(socket.SOL_SOCKET, socket.SO_LINGER, 8) == b"\1\0\0\0\0\0\0\0"
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 250
    connection.close()


# A network that goes away and comes back: two namespaces and the kernel's own TCP

CUT_OFF = """
import os, subprocess, sys, time
sys.path[:0] = [{root!r}, {root!r} + "/manager", {root!r} + "/tests"]
os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
import django
django.setup()
from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalNode

def run(*command):
    subprocess.run(command, check=True)

ours, theirs = os.pipe()
go, begin = os.pipe()
run("ip", "link", "set", "lo", "up")
run("ip", "link", "add", "near", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "far")
run("ip", "addr", "add", "10.9.0.1/24", "dev", "near")
run("ip", "link", "set", "near", "up")
with LocalNode(host="10.9.0.1") as node:
    victim = os.fork()
    if victim == 0:
        os.unshare(os.CLONE_NEWNET) if hasattr(os, "unshare") else __import__("ctypes").CDLL(None).unshare(0x40000000)
        os.write(theirs, b"u")
        os.read(go, 1)
        run("ip", "addr", "add", "10.9.0.2/24", "dev", "far")
        run("ip", "link", "set", "far", "up")
        # Nothing of it may wait for an address to be resolved: that queue is the network's.
        run("ip", "neigh", "replace", "10.9.0.1", "lladdr", "02:00:00:00:00:01", "dev", "far", "nud", "permanent")
        cache = DistributedCache([node.address], {{}})
        while not cache.set("key", "first", None):
            pass
        os.write(theirs, b"r")
        os.read(go, 1)
        os.write(theirs, b"f" if not cache.set_many({{"key": "old"}}, None) == [] else b"?")
        os.read(go, 1)
        if {what!r} == "killed":
            os.kill(os.getpid(), 9)
        time.sleep(60)
    assert os.read(ours, 1) == b"u"
    run("ip", "link", "set", "far", "netns", str(victim))
    # The namespace outlives the process, as a machine does.
    keeper = subprocess.Popen(["nsenter", "-t", str(victim), "-n", "sleep", "60"])
    os.write(begin, b"1")
    assert os.read(ours, 1) == b"r"
    run("ip", "link", "set", "near", "down")
    os.write(begin, b"2")
    assert os.read(ours, 1) == b"f"
    survivor = DistributedCache([node.address], {{}})
    while not survivor.set("key", "new", None):
        pass
    os.write(begin, b"3")
    if {what!r} == "killed":
        os.waitpid(victim, 0)
    run("ip", "link", "set", "near", "up")
    until = time.monotonic() + 5
    read = "new"
    while read != "old" and time.monotonic() < until:
        read = survivor.get("key") or read
        time.sleep(0.05)
    for process in (keeper.pid, *([victim] if {what!r} != "killed" else ())):
        os.kill(process, 9)
    keeper.wait()
    print(read)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0,
    reason="needs network namespaces",
)
@pytest.mark.parametrize("what", ["killed", "idle"])
def test_a_write_that_was_given_up_never_arrives(what):
    """A client loses its network, gives a write up and dies or falls idle; when the network returns, nothing comes."""
    script = CUT_OFF.format(root=str(CHECKOUT), what=what)
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "new"
