"""`ScriptedNode`: a client sees exactly what the script says, and the node remembers what it was sent."""

import socket

import pytest

from django_dcache.testing import CLOSE, RESET, SILENCE, Dribble, ScriptedNode, dial, receive, truncated

GET = b"mg k v\r\n"
HIT = b"VA 5\r\nhello\r\n"


def ask(node, request, size):
    """`size` bytes of the answer to `request`, on a connection of its own."""
    with dial(node.address) as connection:
        connection.sendall(request)
        return receive(connection, size)


def test_one_answer_for_everything():
    """A single answer is given to every command."""
    with ScriptedNode(HIT) as node:
        assert ask(node, GET * 3, 3 * len(HIT)) == HIT * 3


def test_list_of_answers():
    """A list is gone through over all connections, and its last answer stays."""
    with ScriptedNode([b"1\r\n", b"2\r\n"]) as node:
        assert ask(node, GET, 3) == b"1\r\n"
        assert ask(node, GET * 2, 6) == b"2\r\n2\r\n"


def test_function_of_command_and_connection():
    """A function sees each command and the number of its connection."""
    with ScriptedNode(lambda command, connection: b"%d %s\r\n" % (connection, command), greets=False) as node:
        assert ask(node, b"mn\r\n", 6) == b"1 mn\r\n"
        assert ask(node, b"mn\r\n", 6) == b"2 mn\r\n"


def test_data_blocks_are_part_of_their_command():
    """A value that looks like commands is counted as the value it is, in meta and in classic commands."""
    with ScriptedNode(b"HD\r\n") as node:
        ask(node, b"ms k 4 T0\r\nmn\r\n\r\nset k 0 0 4\r\nmn\r\n\r\nmn\r\n", 12)
        assert node.commands == [b"ms k 4 T0\r\nmn\r\n", b"set k 0 0 4\r\nmn\r\n", b"mn"]


def test_commands_may_arrive_in_pieces():
    """A command is recorded once, when its last byte has come."""
    request = b"ms k 5\r\nhello\r\n"
    with ScriptedNode(b"HD\r\n") as node, dial(node.address) as connection:
        for byte in request:
            connection.sendall(bytes([byte]))
        assert receive(connection, 4) == b"HD\r\n"
        assert node.commands == [b"ms k 5\r\nhello"]


@pytest.mark.parametrize("size", range(len(HIT)))
def test_truncation(size):
    """A truncated reply is followed by the end of the connection, also with more commands under way."""
    with ScriptedNode(truncated(HIT, size)) as node:
        assert ask(node, GET * 100, len(HIT)) == HIT[:size]


def test_commands_after_close_are_recorded():
    """A node that closed its direction still notes what the client sends."""
    with ScriptedNode(CLOSE) as node, dial(node.address) as connection:
        connection.sendall(GET)
        assert receive(connection, 1) == b""
        connection.sendall(GET)
        connection.shutdown(socket.SHUT_WR)
        assert receive(connection, 1) == b""
    assert node.commands == [b"mg k v"] * 2


def test_reset():
    """A reset reaches the client as one, after the bytes that were sent before it."""
    with ScriptedNode((b"VA 5\r\nhe", RESET)) as node, dial(node.address) as connection:
        connection.sendall(GET)
        assert receive(connection, 8) == b"VA 5\r\nhe"
        with pytest.raises(ConnectionResetError):
            receive(connection, 1)


def test_silence():
    """Silence leaves the connection open, and later commands have answers of their own."""
    with ScriptedNode([SILENCE, HIT]) as node, dial(node.address) as connection:
        connection.sendall(GET)
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            receive(connection, 1)
        connection.settimeout(5)
        connection.sendall(GET)
        assert receive(connection, len(HIT)) == HIT


def test_dribble():
    """A dribbled reply begins with one byte alone."""
    with ScriptedNode(Dribble(HIT, seconds=60)) as node, dial(node.address, timeout=0.05) as connection:
        connection.sendall(GET)
        assert connection.recv(100) == HIT[:1]
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_dribble_arrives():
    """A dribbled reply is whole in the end."""
    with ScriptedNode(Dribble(HIT, seconds=0.0001)) as node:
        assert ask(node, GET, len(HIT)) == HIT


def test_connections_are_counted():
    """The node knows how many connections there were and how many are left."""
    with ScriptedNode(HIT) as node:
        with dial(node.address) as first, dial(node.address) as second:
            for connection in (first, second):
                connection.sendall(GET)
                receive(connection, len(HIT))
            assert (node.accepted, node.open) == (2, 2)
            node.drop_connections()
            assert (node.accepted, node.open) == (2, 0)


def test_script_errors_surface():
    """What a script raises resets the connection and is raised again when the node stops."""

    def script(command, connection):
        raise AssertionError(command.decode())

    node = ScriptedNode(script).start()
    with pytest.raises(ConnectionResetError):
        ask(node, GET, 1)
    with pytest.raises(AssertionError, match="mg k v"):
        node.stop()
