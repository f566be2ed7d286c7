"""Making a connection to an address, within a deadline that holds for the name, the handshakes and all addresses."""

import select
import socket
import ssl
import struct
from errno import EINPROGRESS
from os import strerror
from time import monotonic
from typing import Any

from ..errors import NodeUnreachable
from .names import resolver
from .tls import TlsStream

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds of silence until the first question, between two, and how many: firewalls forget what is silent for minutes,
and a peer that is gone is found before a request pays for it."""
_RESET = struct.pack("ii", 1, 0)


def dial(
    endpoint: str | tuple[str, int], seconds: float, tls: ssl.SSLContext | None = None, undelivered: float = 0.25
) -> Any:
    """A connected socket: to a path, or to the first address of (host, port) that answers.

    `undelivered`: seconds after which the kernel gives up what it can't deliver, and the connection with it.

    Raises NodeUnresolved, NodeUnreachable, OSError.
    """
    until = monotonic() + seconds
    if isinstance(endpoint, str):
        return _connected(socket.AF_UNIX, endpoint, seconds)
    failure: Exception = NodeUnreachable("no address")
    addresses = resolver.addresses(*endpoint, seconds)
    for left, (family, where) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        stream: Any = None
        try:
            stream = _connected(family, where, (until - monotonic()) / left)
            _keep(stream, undelivered)
            if tls is not None:
                stream = TlsStream(stream, tls, endpoint[0])
                stream.shake_hands(until)
        except OSError as error:
            failure = error
            if stream is not None:
                stream.close()
        else:
            resolver.answered(endpoint[0], where[0])
            return stream
    resolver.refresh(endpoint[0])
    raise failure


def _connected(family: int, where: Any, seconds: float) -> socket.socket:
    stream = socket.socket(family, socket.SOCK_STREAM)
    try:
        _set_up(stream)
        # Not `connect()` with a timeout: a process that stood still would take a connection that was made for none.
        stream.setblocking(False)
        error = stream.connect_ex(where)
        if error == EINPROGRESS:
            poller = select.poll()
            poller.register(stream, select.POLLOUT)
            poller.poll(max(0.0, seconds) * 1000)
            error = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, strerror(error))
        try:
            stream.getpeername()
        except OSError:
            raise TimeoutError("the connection was not accepted in time") from None
        return stream
    except BaseException:
        stream.close()
        raise


def _set_up(stream: socket.socket) -> None:
    # A connection is closed by a reset, and nothing of what it held is delivered after that: a write that was given up
    # while the network was away would overwrite newer ones when it comes back, even after its process has died.
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if stream.family != socket.AF_UNIX:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _keep(stream: socket.socket, undelivered: float) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The same for a process that stands still: only the kernel can take its write back.
    for option, value in {**KEEPALIVE, "TCP_USER_TIMEOUT": int(undelivered * 1000)}.items():
        if hasattr(socket, option):  # Some are Linux's own.
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
