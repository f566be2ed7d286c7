"""`FaultProxy`: each fault of the network is what it says, in front of real memcached, and is over when healed."""

import os
import socket

import pytest

from django_dcache.testing import FaultProxy, LocalNode, dial, receive
from support.raw_client import GET, HIT, ask, assert_silent

pytestmark = pytest.mark.usefixtures("hello")


def eventually(condition):
    return any(condition() for _ in range(10_000))


def test_faultless(proxy, client):
    """Without a fault, pipelines of commands and values of any size come through unchanged."""
    value = os.urandom(300_000)
    store = b"ms big %d\r\n%s\r\n" % (len(value), value)
    assert ask(client, store, 4) == b"HD\r\n"
    hit = b"VA %d\r\n%s\r\n" % (len(value), value)
    assert ask(client, (b"mg big v\r\n" + GET) * 20, 20 * len(hit + HIT)) == (hit + HIT) * 20


def test_commands_are_told(proxy, client):
    """Each command is told before it reaches the node, whole, with its data, however it was cut on its way."""
    told = []
    proxy.on_command = told.append
    store = b"ms k 5\r\nworld\r\n"
    client.sendall(store[:9])
    assert ask(client, store[9:] + b"mn\r\n", 8) == b"HD\r\nMN\r\n"
    assert told == [store, b"mn\r\n"]


def test_half_close_passes(proxy):
    """A client that is done sending gets the rest of its replies."""
    with dial(proxy.address) as client:
        client.sendall(GET)
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 100) == HIT


def test_refuse(proxy, client):
    """New connections are refused, the open one goes on; healed, all are welcome."""
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy.address)
    assert ask(client) == HIT
    proxy.heal()
    with dial(proxy.address) as other:
        assert ask(other) == HIT


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="what a full queue does is up to the kernel")
def test_ignore_connects(proxy, client):
    """New connections find nobody and no refusal; the open one goes on."""
    proxy.ignore_connects()
    with pytest.raises(TimeoutError):
        dial(proxy.address, timeout=0.05)
    assert ask(client) == HIT
    proxy.heal()
    with dial(proxy.address) as other:
        assert ask(other) == HIT


def test_drop_connections(proxy, client):
    """Open connections are reset, new ones are not, and the counters know."""
    proxy.drop_connections()
    with pytest.raises(ConnectionResetError):
        ask(client)
    assert (proxy.accepted, proxy.open) == (1, 0)
    with dial(proxy.address) as other:
        assert ask(other) == HIT
        assert (proxy.accepted, proxy.open) == (2, 1)


def test_drop_reaches_the_unmet(proxy):
    """A connection is reset even if the proxy had no time to notice it."""
    connections = [dial(proxy.address) for _ in range(20)]
    proxy.drop_connections()
    for connection in connections:
        with connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
            ask(connection)


def test_drop_and_refuse_with_forked_children(proxy, client):
    """A forked child that holds every socket too keeps neither a connection nor the door open."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)  # until the parent is done
        os._exit(0)
    proxy.drop_connections()
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        ask(client)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy.address)
    os.close(reader)
    os.close(writer)
    os.waitpid(child, 0)


def test_blackhole_of_commands(proxy, client, node):
    """Lost commands never reach the node, and a connection that lost one is reset when healed."""
    proxy.blackhole("commands")
    client.sendall(b"md k\r\n")
    assert_silent(client)
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert node.ask(GET) == HIT


def test_blackhole_of_replies(proxy, client, node):
    """The node does as it is told, and nobody hears of it."""
    proxy.blackhole("replies")
    client.sendall(b"md k\r\n")
    assert_silent(client)
    assert node.ask(GET) == b"EN\r\n"


def test_blackhole_takes_new_connections(proxy):
    """Connections made in a blackhole are mute; those made after it are not."""
    proxy.blackhole()
    with dial(proxy.address) as client:
        client.sendall(GET)
        assert_silent(client)
    proxy.heal()
    with dial(proxy.address) as other:
        assert ask(other) == HIT


def test_hold_makes_zombies(proxy, client, node):
    """Held commands do nothing until released, and then happen though their client has hung up."""
    proxy.hold()
    client.sendall(b"md k\r\n")
    assert_silent(client)
    client.close()
    assert node.ask(GET) == HIT
    proxy.release()
    assert eventually(lambda: node.ask(GET) == b"EN\r\n")


def test_hold_freezes_for_one_process(proxy, client, node):
    """Held in both directions, the node is frozen for the clients of this proxy, and for no others."""
    proxy.hold("both")
    with FaultProxy(node.address) as other, dial(other.address) as witness:
        client.sendall(GET)
        assert_silent(client)
        assert ask(witness) == HIT
    proxy.release()
    assert receive(client, len(HIT)) == HIT


def test_late_replies(proxy, client):
    """Held replies come late, in order, and in front of later ones."""
    proxy.hold("replies")
    client.sendall(GET + b"mg other v\r\n")
    assert_silent(client)
    proxy.heal()
    assert ask(client, b"mn\r\n", len(HIT) + 8) == HIT + b"EN\r\nMN\r\n"


def test_delay(proxy, client):
    """A delayed reply does not come before its time; a fault that is healed delays nothing any more."""
    proxy.delay(3600, jitter=1)
    client.sendall(GET)
    assert_silent(client)
    proxy.delay(0.001, jitter=0.001)
    assert receive(client, len(HIT)) == HIT
    proxy.delay(3600, direction="commands")
    client.sendall(GET)
    assert_silent(client)
    proxy.heal()
    assert receive(client, len(HIT)) == HIT


def test_unreachable_target(proxy, client, node):
    """When the node is gone, its connections end and new ones are reset."""
    node.kill()
    assert client.recv(1) == b""
    with pytest.raises((ConnectionResetError, BrokenPipeError)), dial(proxy.address) as other:
        ask(other)


def test_target_may_change(proxy, client):
    """New connections go to the new target, on TCP or a unix socket; old ones stay where they are."""
    with LocalNode(unix=True) as elsewhere:
        proxy.target = elsewhere.address
        with dial(proxy.address) as other:
            assert ask(other, GET, 4) == b"EN\r\n"
        assert ask(client) == HIT


def test_nothing_is_left_open(proxy, client, node):
    """A client that hangs up is hung up on at the node."""

    def connections():
        return int(node.stats()["curr_connections"])

    before = connections()
    client.close()
    assert eventually(lambda: (proxy.open, connections()) == (0, before - 1))
