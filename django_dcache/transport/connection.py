"""One connection to one node: bytes out, bytes in. What the bytes mean is the wire's business."""

import itertools
import os
import select
import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from ..engines import Greeting, engine_of
from ..errors import ConnectionLost, NodeFailure, NodeUnreachable, NotGreeted, ProtocolViolation
from ..model.addresses import Endpoint
from ..model.topology import Node
from .dial import dial
from .limits import Limits
from .tls import TlsStream

CHUNK_BYTES = 64 * 1024
_serials = itertools.count(1)
_greeted: dict[str, Endpoint] = {}
"""Which server was the last to greet this process, by the address of a node that has several."""


class Connection:
    """A stream with a serial number (tokens are bound to it) and the opaque number of its next command.

    `send` and `receive` never block. A plain socket of the standard library is also `direct`: blocking, with the
    kernel's own timeout, so that one question and its answer are two system calls and nothing else.
    """

    __slots__ = (
        *("node", "serial", "opaque", "used", "used_at", "poller", "socket", "direct", "process", "returned"),
        *("_flags", "_closed", "_greeting"),
    )

    def __init__(
        self,
        node: str,
        stream: Any,
        timeout: float = 0.25,
        closed: Callable[[], None] | None = None,
        greeting: Callable[[], Greeting] | None = None,
    ):
        self.node, self.socket, self._closed, self._greeting = node, stream, closed, greeting
        self.returned = ""
        """The incarnation in which the node came back with what it held before; empty: it did not."""
        self.serial, self.used, self.process = next(_serials), False, os.getpid()
        # Far from any other connection's, of this process or another: what was meant for another is no reply here.
        self.opaque = int.from_bytes(os.urandom(4), "big") >> 2
        self.used_at = float("-inf")
        # A greenlet's socket must go through its hub.
        plain = type(stream.plain if isinstance(stream, TlsStream) else stream)
        self.direct = plain is socket.socket and plain.__module__ == "socket"
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
    def open(cls, node: Node, limits: Limits, seconds: float, closed: Callable[[], None] | None = None) -> "Connection":
        """Connect within `seconds`, and be greeted: by the server of the node that greeted last, or else by another.
        Raises NodeUnreachable.

        `closed` is called once, when the connection is no more.
        """
        until = monotonic() + seconds
        last = _greeted.get(node.address)
        endpoints = sorted(limits.endpoints(node), key=lambda endpoint: endpoint != last)
        for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
            try:
                connection = cls._open(node, endpoint, limits, (until - monotonic()) / left, closed)
            except NodeUnreachable:
                if left == 1:
                    raise
            else:
                if len(endpoints) > 1:
                    _greeted[node.address] = endpoint
                return connection
        raise AssertionError("a node has an address")

    @classmethod
    def _open(
        cls, node: Node, endpoint: Endpoint, limits: Limits, seconds: float, closed: Callable[[], None] | None
    ) -> "Connection":
        until = monotonic() + seconds
        stream = None
        try:
            engine = engine_of(node)
            if engine.connect:
                stream = engine.connect(node)
            else:
                stream = dial(endpoint, seconds, limits.tls_of(node), limits.timeout)
            # The short cut waits for half of the time at most; the flow that takes over needs the rest.
            greeting = partial(engine.greeting, node, limits.login(node), limits.fleet)
            connection = cls(node.name, stream, limits.timeout / 2, closed, greeting)
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, NodeFailure):
                error.node = node.name
            elif isinstance(error, (OSError, ValueError)):  # ssl's errors are both
                raise _unreachable(error, node.name) from error
            raise
        try:
            connection.greet(until - monotonic())
        except NodeFailure:
            connection.close()
            raise
        if engine.again:
            connection._greeting = partial(engine.again, node, limits.fleet)
        return connection

    def greet(self, seconds: float) -> None:
        """Have the node say, within `seconds`, that it can be used. Raises NotGreeted."""
        assert self._greeting is not None
        until, greeting, greeted = monotonic() + seconds, self._greeting(), False
        try:
            while not greeted:
                if greeting.request:
                    self.send(memoryview(greeting.request))
                    greeting.request = b""
                left = until - monotonic()
                # What has arrived counts even where this process comes late to look at it.
                self.poller.poll(max(0.0, left) * 1000)
                data = self.receive()
                if data is None and left <= 0:
                    raise NotGreeted("no answer", node=self.node)
                greeted = data is not None and greeting.feed(data)
            self.returned = greeting.returned
        except ProtocolViolation as failure:
            raise NotGreeted(failure.detail, node=self.node, cause=failure.cause) from failure
        except ConnectionLost as failure:
            raise NotGreeted(str(failure), node=self.node) from failure

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
        """At once, and with whatever is still on its way to the node (dial.py: a reset, not an end of stream)."""
        self._gone()
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
        self._gone()
        try:
            os.close(self.socket.detach())
        except OSError:
            pass

    def _gone(self) -> None:
        closed, self._closed = self._closed, None
        if closed:
            closed()


def _unreachable(error: Exception, node: str) -> NodeUnreachable:
    """That no connection could be made, and why."""
    cause = ""
    if isinstance(error, ssl.SSLError):
        cause = "TLS fails"
    elif isinstance(error, ConnectionRefusedError | FileNotFoundError):
        cause = "nothing listens there"
    elif isinstance(error, TimeoutError):
        cause = "it does not answer in time"
    return NodeUnreachable(f"{type(error).__name__}: {error}", node=node, cause=cause)
