"""What a client that does nothing needs: one send and one receive."""

import pickle
import socket
from typing import Any


class PingPong:
    """Looks enough like a cache to be measured. No key is checked or placed, no reply is looked at."""

    def __init__(self, server: list[str], params: dict[str, Any]):
        host, port = server[0].split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, key: str) -> None:
        self._ask(b"get %b\r\n" % key.encode(), b"END\r\n")

    def set(self, key: str, value: Any, timeout: int = 0) -> None:
        data = value if isinstance(value, bytes) else b"1" if value == 1 else pickle.dumps(value)
        self._ask(b"set %b 0 0 %d\r\n%b\r\n" % (key.encode(), len(data), data), b"\r\n")

    def incr(self, key: str) -> None:
        self._ask(b"incr %b 1\r\n" % key.encode(), b"\r\n")

    def delete(self, key: str) -> None:
        self._ask(b"delete %b\r\n" % key.encode(), b"\r\n")

    def _ask(self, request: bytes, end: bytes) -> None:
        self._socket.sendall(request)
        while not self._socket.recv(65536).endswith(end):
            pass

    def close(self) -> None:
        self._socket.close()
