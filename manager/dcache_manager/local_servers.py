"""How the server of each engine is started on loopback, on a port that no other process can take meanwhile."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from django_dcache.errors import DCacheError
from django_dcache.model.addresses import CACHE
from django_dcache.testing import ignite_server
from django_dcache.testing.addresses import HeldPort

from .errors import NotPossible

PROGRAMS = {"memcached": "memcached", "redis": "redis-server", "valkey": "valkey-server", "ignite": "java"}
"""By what `local up --engine` is told."""
PROCESS_SECONDS = 5.0
"""For a process to start, or to end."""
POLL_SECONDS = 0.01


class NotStarted(DCacheError):
    """A server did not start."""


def program(engine: str) -> str:
    """Where its server is. Raises NotPossible."""
    name = PROGRAMS[engine]
    if engine == "ignite":
        try:
            ignite_server.libraries()
        except ignite_server.NoIgnite as error:
            raise NotPossible(str(error)) from None
    if found := shutil.which(name):
        return found
    raise NotPossible(f"{name} is not on PATH; install it, for instance with `apt install {name}`")


def start(engine: str, memory: int) -> tuple[str, int]:
    """The address and the process of a new server that answers. `memory` in megabytes. Raises NotStarted."""
    with tempfile.TemporaryDirectory() as place, (Path(place) / "words").open("w+") as words:
        begin = {"memcached": _memcached, "ignite": _ignite}.get(engine, _redis)
        process, address = begin(engine, memory, Path(place), words)
        if address is None:
            process.kill()
            words.seek(0)
            raise NotStarted(words.read().strip() or "it said nothing")
        return address, process.pid


def until(true: Callable[[], bool], seconds: float = PROCESS_SECONDS) -> bool:
    """Whether it became true in time."""
    give_up = time.monotonic() + seconds
    while not true():
        if time.monotonic() > give_up:
            return False
        time.sleep(POLL_SECONDS)
    return True


Started = tuple["subprocess.Popen[bytes]", str | None]
"""The process, and its address if it answers."""


def _memcached(engine: str, memory: int, place: Path, words: IO[str]) -> Started:
    # memcached picks the port itself and says which: between picking and binding no other process can take it.
    told = place / "port"
    user = pwd.getpwuid(os.geteuid()).pw_name  # it refuses to run as root unless told to
    command = [program(engine), "-l", "127.0.0.1", "-p", "-1", "-U", "0", "-t", "1", "-m", str(memory), "-u", user]
    process = _run(command, words, {"MEMCACHED_PORT_FILENAME": str(told)})
    if not until(lambda: told.exists() or process.poll() is not None) or process.poll() is not None:
        return process, None
    return process, f"127.0.0.1:{told.read_text().split(':')[1].split()[0]}"


def _redis(engine: str, memory: int, place: Path, words: IO[str]) -> Started:
    port = HeldPort("127.0.0.1")
    try:
        command = [program(engine), "--bind", port.host, "--port", str(port.number), "--daemonize", "no"]
        # It keeps nothing on disk: what a cache brings back from there would be of the past.
        command += ["--save", "", "--appendonly", "no", "--dir", tempfile.gettempdir()]
        command += ["--maxmemory", f"{memory}mb", "--maxmemory-policy", "allkeys-lru"]
        process = _run(command, words, {})
        answers = until(lambda: process.poll() is not None or _answers(port)) and process.poll() is None
        return process, f"{engine}://{port.host}:{port.number}/0" if answers else None
    finally:
        port.close()


def _ignite(engine: str, memory: int, place: Path, words: IO[str]) -> Started:
    ports = HeldPort("127.0.0.1"), HeldPort("127.0.0.1")
    try:
        # Its files outlive this command, as it does.
        folder = Path(tempfile.mkdtemp(prefix="dcache-ignite-"))
        terms = ignite_server.Terms(folder, ports[0].number, ports[1].number, CACHE, memory)
        process = _run([*ignite_server.command_line(terms)], words, {})
        until(lambda: process.poll() is not None or ignite_server.ready(terms), ignite_server.STARTUP)
        address = f"ignite://{ports[0].host}:{ports[0].number}/{CACHE}"
        return process, address if ignite_server.ready(terms) else None
    finally:
        for port in ports:
            port.close()


def _answers(port: HeldPort) -> bool:
    try:
        with socket.create_connection((port.host, port.number), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(100) == b"+PONG\r\n"
    except OSError:
        return False


def _run(command: list[str], words: IO[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=words,
        stderr=words,
        start_new_session=True,
    )
