"""Addresses as the fleet spells them: "host:port" or "unix:/path"."""

import socket
import sys
from typing import Any


def socket_address(address: str) -> tuple[socket.AddressFamily, Any]:
    """`address` as the socket module wants it: (family, what to connect to)."""
    if address.startswith("unix:"):
        return socket.AF_UNIX, address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    return socket.AF_INET, (host, int(port))


class HeldPort:
    """A port picked by the kernel, and ours until `close()` whether a server listens on it or not.

    A port that is only known to be free may be given away while its node is down: to another process, or to a client
    as its *own* end, and a client that then dials the dead node meets itself and hears its commands come back as
    replies. A socket that is bound and never listens prevents both: connects are still refused, and SO_REUSEADDR lets
    the node, or `bound()`, bind beside it as often as it likes.
    """

    def __init__(self, host: str = "127.0.0.1"):
        self.host, self.number = host, 0
        self._holder = self.bound()
        self.number = self._holder.getsockname()[1]
        if sys.platform != "linux":  # elsewhere two sockets can't share a port like this: it is picked, but not held
            self._holder.close()

    def bound(self) -> socket.socket:
        """A fresh socket bound to this port, not listening yet."""
        bound = socket.socket()
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.number))
        except BaseException:
            bound.close()
            raise
        return bound

    def close(self) -> None:
        self._holder.close()
