"""One connection to one node: bytes out, bytes in. What the bytes mean is the wire's business."""

import itertools
import os
import select
import socket
import ssl
import struct
from typing import Any

from pymemcache.client.base import Client

from ..errors import ConnectionLost, NodeUnreachable

CHUNK_BYTES = 64 * 1024
_serials = itertools.count(1)


class Connection:
    """A stream with a serial number (tokens are bound to it) and the opaque number of its next command.

    `send` and `receive` never block. A plain socket of the standard library is also `direct`: blocking, with the
    kernel's own timeout, so that one question and its answer are two system calls and nothing else.
    """

    __slots__ = ("node", "serial", "opaque", "used", "used_at", "poller", "socket", "direct", "_flags")

    def __init__(self, node: str, stream: Any, timeout: float = 0.25):
        self.node, self.socket = node, stream
        self.serial, self.used = next(_serials), False
        # Far from any other connection's: what was meant for another is no reply here either.
        self.opaque = self.serial * 2_654_435_761 % 2**31
        self.used_at = float("-inf")
        # TLS can't be read without its own buffer, and a greenlet's socket must go through its hub.
        self.direct = type(stream) is socket.socket and type(stream).__module__ == "socket"
        self._flags = (socket.MSG_DONTWAIT,) if self.direct else ()
        if self.direct:
            wait = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000))
            stream.setblocking(True)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        else:
            stream.setblocking(False)
        self.poller = select.poll()
        self.poller.register(stream, select.POLLIN)

    @classmethod
    def open(
        cls,
        node: str,
        endpoint: str | tuple[str, int],
        connect_timeout: float,
        tls: ssl.SSLContext | None = None,
        timeout: float = 0.25,
    ) -> "Connection":
        """Connect within `connect_timeout` seconds. Raises NodeUnreachable."""
        client = Client(endpoint, connect_timeout=connect_timeout, timeout=timeout, no_delay=True, tls_context=tls)
        try:
            client._connect()
            return cls(node, client.sock, timeout)
        except BaseException as error:
            client.close()
            if not isinstance(error, Exception):
                raise
            # OSError, ssl errors, and pymemcache's own for an address it can't use
            raise NodeUnreachable(f"{type(error).__name__}: {error}", node=node) from error

    def fileno(self) -> int:
        return int(self.socket.fileno())

    def send(self, data: memoryview) -> int:
        """How many bytes the kernel took; 0 when its buffer is full. Raises ConnectionLost."""
        try:
            return int(self.socket.send(data, *self._flags))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise ConnectionLost(f"{type(error).__name__}: {error}", node=self.node) from error

    def receive(self) -> bytes | None:
        """What has arrived; None when nothing has. Raises ConnectionLost at the end of the stream."""
        try:
            data: bytes = self.socket.recv(CHUNK_BYTES, *self._flags)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise ConnectionLost(f"{type(error).__name__}: {error}", node=self.node) from error
        if not data:
            raise ConnectionLost("closed by the node", node=self.node)
        return data

    def quiet(self) -> bool:
        """Whether nothing waits to be read: an idle connection could only hold an end of stream or a stray reply."""
        return not self.poller.poll(0)

    def close(self) -> None:
        try:
            self.socket.close()
        except OSError:
            pass

    def __del__(self) -> None:
        # Its flow was broken off, or its node left the fleet: closing it is no accident, so no ResourceWarning.
        if hasattr(self, "socket"):  # An interrupt may have come before there was one.
            self.close()

    def forget(self) -> None:
        """Drop the descriptor without a word to the peer: after a fork the stream is the parent's."""
        try:
            os.close(self.socket.detach())
        except OSError:
            pass
