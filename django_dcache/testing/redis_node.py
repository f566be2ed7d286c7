"""One real Redis or Valkey process on loopback."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .client import dial
from .process import ServerProcess

BATCH = 1000
"""Commands that are sent before their replies are read."""


class LocalRedis(ServerProcess):
    """One Redis process: in memory only, unless told otherwise.

        with LocalRedis() as node:
            node.ask(b"PING\\r\\n")      # b"+PONG\\r\\n"

    memory: MB; what is used least is evicted beyond. extra: more arguments, such as ("--requirepass", "…"). unix:
    listen on a socket file. binary: the server; else DCACHE_REDIS names it, else redis-server, else valkey-server.
    """

    QUESTION = b"PING\r\n"
    SCHEME = "redis"
    folder: Path
    """Where the server saves its data when it is told to; it begins with them when it is started again."""

    @staticmethod
    def server() -> str:
        """The program that is started unless another one is given."""
        return os.environ.get("DCACHE_REDIS") or shutil.which("redis-server") or "valkey-server"

    def __init__(
        self,
        *,
        memory: int = 64,
        extra: Sequence[str] = (),
        host: str = "127.0.0.1",
        unix: bool = False,
        binary: str | None = None,
    ):
        self._binary = binary or self.server()
        self._options = ["--maxmemory", f"{memory}mb", "--maxmemory-policy", "allkeys-lru"]
        self._options += ["--save", "", "--appendonly", "no", *extra]
        super().__init__(host, unix)

    def _command_line(self) -> Sequence[str]:
        # Whatever lies in the present folder is another server's.
        self.folder = Path(tempfile.mkdtemp(prefix="dcache-"))
        self._place.callback(shutil.rmtree, self.folder, ignore_errors=True)
        if self._folder:
            self.address = f"{self.SCHEME}+unix://{self.name}?db=0"
            listen = ["--port", "0", "--unixsocket", self.name]
        else:
            self.address = f"{self.SCHEME}://{self.endpoint}/0"
            listen = ["--port", str(self._port), "--bind", self._host]
        return [self._binary, *listen, "--daemonize", "no", "--dir", str(self.folder), *self._options]

    def items(self) -> dict[bytes, float]:
        """All strings: key → seconds it has left; -1: it never expires."""
        with dial(self.endpoint) as connection, connection.makefile("rb") as answer:
            connection.sendall(b"SCAN 0 COUNT 1000000 TYPE string\r\n")
            keys = _reply(answer)[1]
            left = _each(connection, answer, b"PTTL", keys)
        return {key: ms / 1000 if ms > 0 else ms for key, ms in zip(keys, left, strict=True) if ms != -2}

    def strings(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those of the keys that are there: key → the bytes as they are stored."""
        asked = list(keys)
        with dial(self.endpoint) as connection, connection.makefile("rb") as answer:
            found = _each(connection, answer, b"GET", asked)
        return {key: stored for key, stored in zip(asked, found, strict=True) if stored is not None}


class LocalValkey(LocalRedis):
    """The same of Valkey: DCACHE_VALKEY names the server, else it is valkey-server."""

    SCHEME = "valkey"

    @staticmethod
    def server() -> str:
        return os.environ.get("DCACHE_VALKEY") or "valkey-server"


def _each(connection: socket.socket, answer: BinaryIO, word: bytes, keys: Sequence[bytes]) -> list[Any]:
    """The replies to a command for each key."""
    found: list[Any] = []
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        command = b"*2\r\n$%d\r\n%b\r\n$%%d\r\n%%b\r\n" % (len(word), word)
        connection.sendall(b"".join(command % (len(key), key) for key in part))
        found += [_reply(answer) for _ in part]
    return found


def _reply(answer: BinaryIO) -> Any:
    """The next reply; a test never judges the engine by its own parser."""
    line = answer.readline()
    kind, rest = line[:1], line[1:-2]
    if kind == b"*":
        return [_reply(answer) for _ in range(int(rest))]
    if kind == b"$":
        return None if rest == b"-1" else answer.read(int(rest) + 2)[:-2]
    return int(rest) if kind == b":" else rest
