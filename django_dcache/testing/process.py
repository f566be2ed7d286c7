"""One real server process on loopback."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from .addresses import HeldPort
from .client import dial

STARTUP = 10.0  # seconds; it takes about 0.005
PATIENCE = 0.001  # seconds between two looks


class ServerProcess:
    """A process on an address that stays the same, however often it is killed and started again.

    The process ends with the `with` block or with the Python process that made it, never with a forked child of that.
    Subclasses say what is started, and what it is asked to see whether it answers.
    """

    QUESTION = b""
    address: str
    """As a LOCATION has it."""
    endpoint: str
    """What `dial` connects to."""

    def __init__(self, host: str = "127.0.0.1", unix: bool = False):
        self.process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()
        self._maker = os.getpid()
        self._place = ExitStack()
        self._host, self._port, self._folder = host, 0, ""
        if unix:
            self._folder = tempfile.mkdtemp(prefix="dcache-")
            self._place.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self.endpoint = f"unix:{self._folder}/node.sock"
        else:
            port = HeldPort(host)
            self._place.callback(port.close)
            self._port, self.endpoint = port.number, f"{host}:{port.number}"
        self._command: Sequence[str] = self._command_line()
        atexit.register(self.close)

    def _command_line(self) -> Sequence[str]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} {'running' if self.running else 'not running'}>"

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What a fleet calls this node."""
        return self.endpoint.removeprefix("unix:")

    @property
    def running(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self.process is not None and self.process.poll() is None

    def start(self, *options: str) -> Self:
        """Starts the server and returns when it answers. Raises RuntimeError with its own words if it does not.

        options: more arguments, for this time.
        """
        self.launch(*options)
        self.await_ready()
        return self

    def launch(self, *options: str) -> None:
        """The first half of `start()`: several nodes launched together are ready sooner."""
        if self.running:
            raise RuntimeError(f"{self!r} can't be started twice.")
        self._stderr.seek(0)
        self._stderr.truncate()
        self.process = subprocess.Popen(
            [*self._command, *options], stdin=subprocess.DEVNULL, stdout=self._stderr, stderr=self._stderr
        )

    def await_ready(self, deadline: float = STARTUP) -> None:
        """The second half of `start()`: returns when the node answers; `deadline` in seconds."""
        until = time.monotonic() + deadline
        while True:
            try:
                self.ask(self.QUESTION, timeout=deadline)
                return
            except OSError as refused:
                if self.running and time.monotonic() < until:
                    time.sleep(PATIENCE)
                    continue
                self.kill()
                raise RuntimeError(f"{' '.join(self._command)} did not start: {self._last_words()}") from refused

    def stop(self) -> None:
        """Asks the server to end (SIGTERM) and waits for it; it takes its time, up to a second."""
        if self.process:
            self.thaw()
            self.process.terminate()
            self.process.wait()

    def kill(self) -> None:
        """Ends the server at once (SIGKILL), frozen or not. Its connections are closed by the kernel."""
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

    def ask(self, request: bytes, timeout: float = 5.0) -> bytes:
        """Everything the node answers to `request` on a connection of its own. `timeout` in seconds, of silence."""
        with dial(self.endpoint, timeout) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)  # it answers what it has, then closes: no need to parse
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))
