"""One real memcached process on loopback."""

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import unquote_to_bytes

from .addresses import HeldPort
from .client import dial

STARTUP = 10.0  # seconds; it takes about 0.005
PATIENCE = 0.001  # seconds between two looks


class LocalNode:
    """One memcached process on an address that stays the same, however often the process is killed and started again.

        with LocalNode(memory=64) as node:
            node.ask(b"mn\\r\\n")        # b"MN\\r\\n"
            node.restart()              # the same address, nothing in it

    memory: MB. extra: more memcached arguments. unix: listen on a socket file in a directory of its own instead of TCP.
    binary: the memcached to run; else the environment variable DCACHE_MEMCACHED names it, else the first on PATH is it.
    The process ends with the `with` block or with the Python process that made it, never with a forked child of that.
    """

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
        self.process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()
        self._maker = os.getpid()
        self._place = ExitStack()
        if unix:
            folder = tempfile.mkdtemp(prefix="dcache-")
            self._place.callback(shutil.rmtree, folder, ignore_errors=True)
            path = os.path.join(folder, "memcached.sock")
            self.address, listen = f"unix:{path}", ["-s", path]
        else:
            port = HeldPort(host)
            self._place.callback(port.close)
            self.address, listen = f"{host}:{port.number}", ["-l", host, "-p", str(port.number)]
        user = pwd.getpwuid(os.geteuid()).pw_name  # memcached refuses to run as root unless told to
        binary = binary or os.environ.get("DCACHE_MEMCACHED") or "memcached"
        self._command = [binary, *listen, "-u", user, "-m", str(memory), "-t", str(threads), *extra]
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<LocalNode {self.address} {'running' if self.running else 'not running'}>"

    def __enter__(self) -> "LocalNode":
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # The process

    @property
    def running(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> "LocalNode":
        """Starts memcached and returns when it answers. Raises RuntimeError with its own words if it does not."""
        self.launch()
        self.await_ready()
        return self

    def launch(self) -> None:
        """The first half of `start()`: several nodes launched together are ready sooner."""
        if self.running:
            raise RuntimeError(f"{self!r} can't be started twice.")
        self._stderr.seek(0)
        self._stderr.truncate()
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=self._stderr)

    def await_ready(self, deadline: float = STARTUP) -> None:
        """The second half of `start()`: returns when the node answers; `deadline` in seconds."""
        until = time.monotonic() + deadline
        while True:
            try:
                self.ask(b"version\r\n", timeout=deadline)
                return
            except OSError as refused:
                if self.running and time.monotonic() < until:
                    time.sleep(PATIENCE)
                    continue
                self.kill()
                raise RuntimeError(f"{' '.join(self._command)} did not start: {self._last_words()}") from refused

    def stop(self) -> None:
        """Asks memcached to end (SIGTERM) and waits for it; it takes its time, up to a second."""
        if self.process:
            self.thaw()
            self.process.terminate()
            self.process.wait()

    def kill(self) -> None:
        """Ends memcached at once (SIGKILL), frozen or not. Its connections are closed by the kernel."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Killed, and started again with nothing in it on the same address."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stops the process in its tracks (SIGSTOP): it still accepts connections and commands, and answers none."""
        if not self.process:
            raise RuntimeError(f"{self!r} has no process to freeze.")
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # a signal is only on its way: an answer might overtake it

    def thaw(self) -> None:
        """Lets a frozen process go on (SIGCONT): it executes whatever it was sent in the meantime."""
        if self.process:
            self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kills the process and gives up the address. Does nothing in a forked child, whose node it is not."""
        if self._maker == os.getpid():
            atexit.unregister(self.close)
            self.kill()
            self._place.close()
            self._stderr.close()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip() or "no word from it"

    # The dialogue

    def ask(self, request: bytes, timeout: float = 5.0) -> bytes:
        """Everything the node answers to `request` on a connection of its own. `timeout` in seconds, of silence."""
        with dial(self.address, timeout) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)  # memcached answers what it has, then closes: no need to parse
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

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
        with dial(self.address) as connection:  # shutting one side down, as `ask` does, would end the dump
            for _ in range(int(STARTUP / PATIENCE)):
                connection.sendall(b"lru_crawler metadump all\r\n")
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
