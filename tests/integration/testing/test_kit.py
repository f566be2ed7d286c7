"""The nodes, fleets and clock of `django_dcache.testing`, against real memcached."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from django_dcache.testing import LocalFleet, LocalNode, ManualClock, dial

SET = b"ms k 5\r\nhello\r\n"
GET = b"mg k v\r\n"
HIT = b"VA 5\r\nhello\r\n"
MISS = b"EN\r\n"


def test_node_answers_when_started(node):
    """A node that was started answers at once."""
    assert node.ask(SET + GET) == b"HD\r\n" + HIT


def test_restart_is_empty_and_at_home(node):
    """A restarted node has the same address, another process and no items."""
    address, pid = node.address, node.process.pid
    node.ask(SET)
    node.restart()
    assert (node.address, node.ask(GET)) == (address, MISS)
    assert node.process.pid != pid


def test_killed_node_refuses(node):
    """Connections to a killed node are refused, and open ones are closed."""
    with dial(node.address) as connection:
        assert node.ask(b"mn\r\n") == b"MN\r\n"
        node.kill()
        assert node.process.returncode == -signal.SIGKILL
        with pytest.raises(ConnectionRefusedError):
            dial(node.address)
        assert connection.recv(1) == b""


def test_port_is_held(node):
    """Nobody else can take the port of a killed node."""
    node.kill()
    host, port = node.address.split(":")
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind((host, int(port)))


def test_frozen_node_is_a_zombie(node):
    """A frozen node accepts a command, answers nothing, and executes it when thawed."""
    node.freeze()
    with dial(node.address, timeout=0.05) as connection:
        connection.sendall(SET)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        node.thaw()
        connection.settimeout(5)
        assert connection.recv(100) == b"HD\r\n"


def test_frozen_node_can_be_killed(node):
    """A frozen node is killed as surely as any."""
    node.freeze()
    node.restart()
    assert node.ask(b"mn\r\n") == b"MN\r\n"


def test_frozen_node_can_be_stopped(node):
    """A node that is asked to stop ends in good order, even a frozen one."""
    node.freeze()
    node.stop()
    assert node.process.returncode == 0


def test_failure_to_start_has_words():
    """A node that can't start says why, in memcached's words, and leaves nothing running."""
    node = LocalNode(extra=["--no-such-option"])
    with pytest.raises(RuntimeError, match="no-such-option.*unrecognized option"):
        node.start()
    assert not node.running
    node.close()


def test_unix_socket():
    """A node on a unix socket keeps its address over a restart, and takes its socket file away at the end."""
    with LocalNode(unix=True) as node:
        path = node.address.removeprefix("unix:")
        node.restart()
        assert node.ask(SET + GET) == b"HD\r\n" + HIT
        assert os.path.exists(path)
    assert not os.path.exists(path)


def test_options_reach_memcached():
    """Memory, threads and extra arguments are memcached's."""
    with LocalNode(memory=100, threads=2, extra=["-c", "77"], host="127.0.0.2") as node:
        settings = node.stats("settings")
        assert node.address.startswith("127.0.0.2:")
    assert (settings["maxbytes"], settings["num_threads"], settings["maxconns"]) == (str(100 << 20), "2", "77")


def test_ask_returns_every_reply(node):
    """A long pipeline of large values is answered whole."""
    node.ask(b"ms k 100000\r\n" + b"x" * 100_000 + b"\r\n")
    assert len(node.ask(GET * 500)) == 500 * len(b"VA 100000\r\n" + b"x" * 100_000 + b"\r\n")


def test_stats(node):
    """`stats` is a dict of what the node says of itself."""
    node.ask(SET)
    assert (node.stats()["curr_items"], node.stats()["pid"]) == ("1", str(node.process.pid))


def test_items_have_raw_keys(node):
    """`items` has the key of every item as the bytes that were sent, and when it expires."""
    node.ask(b"ms a%20b 1\r\n1\r\n" + b"ms \xff7;k=1 1 T100\r\n1\r\n")
    items = node.items()
    assert set(items) == {b"a%20b", b"\xff7;k=1"}
    assert items[b"a%20b"]["exp"] == -1
    assert items[b"\xff7;k=1"]["exp"] > items[b"\xff7;k=1"]["la"]


def test_items_of_many(node):
    """`items` finds every one of thousands of items."""
    node.ask(b"".join(b"ms k%d 1 q\r\n1\r\n" % number for number in range(5000)))
    assert len(node.items()) == 5000


def test_items_of_none(node):
    """An empty node has no items."""
    assert node.items() == {}


def test_fleet_grows(fleet):
    """Nodes of a fleet have addresses of their own, and one can be added."""
    local = fleet(3)
    added = local.add(memory=100)
    assert local.addresses == [node.address for node in local.nodes] and len(set(local.addresses)) == 4
    assert added.stats("settings")["maxbytes"] == str(100 << 20)
    assert [node.ask(b"mn\r\n") for node in local.nodes] == [b"MN\r\n"] * 4


def test_fleet_ends_with_its_block():
    """No process of a fleet outlives its block."""
    with LocalFleet(2) as local:
        pass
    assert [node.process.returncode for node in local.nodes] == [-signal.SIGKILL] * 2


def test_nodes_end_with_their_process():
    """A node that nobody closed ends with the Python process that started it."""
    script = "from django_dcache.testing import LocalNode; print(LocalNode().start().address)"
    address = subprocess.check_output([sys.executable, "-c", script], text=True).strip()
    with pytest.raises(ConnectionRefusedError):
        dial(address)


def test_forked_child_leaves_the_node(node):
    """A forked child that leaves the block, or closes the node, does not end it."""
    child = os.fork()
    if not child:
        node.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert node.ask(b"mn\r\n") == b"MN\r\n"


def test_manual_clock():
    """A manual clock goes where it is sent, and never back."""
    clock = ManualClock(10.0)
    assert (clock(), clock.advance(2.5), clock()) == (10.0, 12.5, 12.5)
    with pytest.raises(ValueError):
        clock.advance(-1)
    clock.now = 99.0
    assert clock() == 99.0
