"""The plainest client: for tests that want to see every byte."""

import socket

from .addresses import socket_address


def dial(address: str, timeout: float | None = 5.0) -> socket.socket:
    """A socket connected to `address`. `timeout` in seconds, also for every later call. Raises OSError."""
    family, where = socket_address(address)
    connection = socket.socket(family)
    try:
        if family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout)
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def receive(connection: socket.socket, size: int) -> bytes:
    """The next `size` bytes, or fewer if the connection ends before them."""
    received = b""
    while len(received) < size and (data := connection.recv(size - len(received))):
        received += data
    return received
