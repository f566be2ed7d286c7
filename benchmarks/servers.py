"""The processes that are spoken to, all on the core of their client."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django_dcache.testing import LocalFleet
from django_dcache.testing.addresses import HeldPort

from .backends import Servers

_cores: set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def go_first() -> None:
    """Ahead of whatever else the machine is doing, with everything that is started from here."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    except PermissionError:
        raise SystemExit("only root may go first") from None


def pin() -> str:
    """Keep this process, and whatever it starts, on one core. What became of it, in words."""
    if not _cores:
        return "not pinned to a core: this system has no such thing"
    os.sched_setaffinity(0, {min(_cores)})
    return "client and nodes on one core"


@contextmanager
def away() -> Iterator[None]:
    """For the load that comes from outside: on the other cores, if there are any."""
    if len(_cores) < 2:
        yield
        return
    os.sched_setaffinity(0, _cores - {min(_cores)})
    try:
        yield
    finally:
        pin()


@contextmanager
def running(nodes: int, memory: int = 64) -> Iterator[Servers]:
    """`nodes` memcached processes of `memory` MB and with one thread each, and a Redis, on ports the kernel picked."""
    with LocalFleet(nodes, memory=memory, threads=1) as fleet, _redis() as redis:
        yield Servers(fleet.addresses, redis)


@contextmanager
def _redis() -> Iterator[str]:
    if not shutil.which("redis-server"):
        yield ""
        return
    port = HeldPort()
    command = ["redis-server", "--bind", port.host, "--port", str(port.number), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await_redis(port, process)
        yield f"{port.host}:{port.number}"
    finally:
        process.kill()
        process.wait()
        port.close()


def _await_redis(port: HeldPort, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            with socket.create_connection((port.host, port.number), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(100).startswith(b"+PONG"):
                    return
        except ConnectionRefusedError:
            time.sleep(0.001)
    raise SystemExit("redis-server did not start")
