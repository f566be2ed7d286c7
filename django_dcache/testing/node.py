"""One real memcached process on loopback."""

import os
import pwd
import time
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from .client import dial
from .process import PATIENCE, STARTUP, ServerProcess


class LocalNode(ServerProcess):
    """One memcached process on an address that stays the same, however often the process is killed and started again.

        with LocalNode(memory=64) as node:
            node.ask(b"mn\\r\\n")        # b"MN\\r\\n"
            node.restart()              # the same address, nothing in it

    memory: MB. extra: more memcached arguments. unix: listen on a socket file in a directory of its own instead of TCP.
    binary: the memcached to run; else the environment variable DCACHE_MEMCACHED names it, else the first on PATH is it.
    The process ends with the `with` block or with the Python process that made it, never with a forked child of that.
    """

    QUESTION = b"version\r\n"

    def __init__(
        self,
        *,
        memory: int = 64,
        threads: int = 1,
        extra: Sequence[str] = (),
        host: str = "127.0.0.1",
        unix: bool = False,
        binary: str | None = None,
    ):
        self._binary = binary or os.environ.get("DCACHE_MEMCACHED") or "memcached"
        self._options = ["-m", str(memory), "-t", str(threads), *extra]
        super().__init__(host, unix)

    def _command_line(self) -> Sequence[str]:
        self.address = self.endpoint
        listen = ["-s", self.name] if self._folder else ["-l", self._host, "-p", str(self._port)]
        user = pwd.getpwuid(os.geteuid()).pw_name  # memcached refuses to run as root unless told to
        return [self._binary, *listen, "-u", user, *self._options]

    def stats(self, *topic: str) -> dict[str, str]:
        """What `stats` says, or `stats <topic>`."""
        lines = self.ask(" ".join(("stats", *topic)).encode() + b"\r\n").decode().splitlines()
        return dict(line.split(" ", 2)[1:] for line in lines if line.startswith("STAT "))

    def items(self) -> dict[bytes, dict[str, int | str]]:
        """All items: wire key → metadump fields: exp (-1: never), la, cas, cls and size as int, fetch "yes" or "no"."""
        found: dict[bytes, dict[str, int | str]] = {}
        for line in self._metadump().splitlines():
            fields = dict(field.split("=", 1) for field in line.split())
            found[unquote_to_bytes(fields.pop("key"))] = {name: _number(field) for name, field in fields.items()}
        return found

    def _metadump(self) -> str:
        with dial(self.endpoint) as connection:  # shutting one side down, as `ask` does, would end the dump
            for _ in range(int(STARTUP / PATIENCE)):
                # By the hash table: what moves from one list of the LRU to another meanwhile would be missed.
                connection.sendall(b"lru_crawler metadump hash\r\n")
                dump = b""
                while not dump.endswith(b"\r\n"):  # its own lines end in \n alone
                    dump += connection.recv(1 << 16) or _gone(self.address)
                if dump.endswith(b"END\r\n"):
                    return dump.removesuffix(b"END\r\n").decode()
                time.sleep(PATIENCE)  # BUSY: another crawler is at work
        raise RuntimeError(f"{self!r} gives no metadump: {dump!r}")


def _number(field: str) -> int | str:
    return int(field) if field.removeprefix("-").isdigit() else field


def _gone(address: str) -> bytes:
    raise ConnectionError(f"{address} closed the connection in the middle of a metadump.")
