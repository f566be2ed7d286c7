"""One end of a connection inside an endpoint's loop."""

import asyncio
import socket
import struct
from contextlib import suppress

_no_linger = struct.pack("ii", 1, 0)


class Side(asyncio.Protocol):
    """What arrives waits in `inbox`, in order, as (moment, bytes); b"" is the end of it.

    Read eagerly and without limit: what waits here is what a real network would still be carrying, and a client that
    hangs up in between must not take it along.
    """

    def __init__(self, connection: socket.socket):
        loop = asyncio.get_running_loop()
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so only for some sockets
        self.socket = connection
        self.inbox: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.hung_up = False  # by the peer
        self.ended = False  # by us
        self._time = loop.time

    async def open(self) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self, self.socket)

    async def receive(self) -> bytes:
        return (await self.inbox.get())[1]

    def send(self, data: bytes) -> None:
        if not self.ended and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """Nothing more will be sent (FIN); what the peer sends is still read."""
        if not self.ended:
            self.ended = True
            with suppress(OSError):  # reset by the peer after it had hung up, which is not watched for
                self._transport.write_eof()

    def close(self) -> None:
        """Closed once everything was sent."""
        self.ended = True
        self._transport.close()

    def reset(self) -> None:
        """Closed at once (RST), with whatever was not sent yet."""
        self.ended = True
        if not self.gone.done():
            with suppress(OSError):  # gone already, which macOS minds
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _no_linger)
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.opened.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.inbox.put_nowait((self._time(), data))

    def eof_received(self) -> bool:
        self._hang_up()
        return True  # our own direction stays open

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self._hang_up()
        self.gone.set_result(None)

    def _hang_up(self) -> None:
        self.hung_up = True
        self.inbox.put_nowait((self._time(), b""))
