"""Who gets in: how an endpoint treats new connections."""

import asyncio
import socket
from collections.abc import Callable

from .addresses import HeldPort, socket_address

BACKLOG = 1024


class Door:
    """One held port in one loop: open, shut, or deaf. `welcome` is called with each connection that is let in."""

    def __init__(self, port: HeldPort, loop: asyncio.AbstractEventLoop, welcome: Callable[[socket.socket], None]):
        self._port, self._loop, self._welcome = port, loop, welcome
        self._listener: socket.socket | None = None
        self._deaf: list[socket.socket] = []

    @property
    def sockets(self) -> list[socket.socket]:
        return [*self._deaf, *([self._listener] if self._listener else [])]

    def open(self) -> None:
        """Clients that connect are let in."""
        if self._listener:
            return
        self.shut()
        self._listener = self._port.bound()
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self.admit)

    def shut(self) -> None:
        """Clients that connect are refused."""
        if self._listener:
            self._loop.remove_reader(self._listener)
        for listening in self.sockets:
            listening.close()
        self._listener, self._deaf = None, []

    def ignore(self) -> None:
        """Clients that connect get no answer: a queue of one, full and never emptied, makes the kernel drop them."""
        self.shut()
        listener = self._port.bound()
        listener.listen(0)
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(socket_address(f"{self._port.host}:{self._port.number}")[1])
        self._deaf = [filler, listener]

    def admit(self) -> None:
        """Lets in all clients that have connected so far."""
        while self._listener:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # no client waits, or it has gone again
                return
            self._welcome(connection)
