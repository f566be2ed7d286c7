"""The processes that are spoken to, all on the core of their client."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django_dcache.testing import LocalFleet, LocalRedis

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
def running(nodes: int, memory: int = 64, redis: int = 1) -> Iterator[Servers]:
    """`nodes` memcached processes of `memory` MB and with one thread each, and `redis` Redis processes, if that is
    installed, on ports the kernel picked."""
    with LocalFleet(nodes, memory=memory, threads=1) as fleet, ExitStack() as stack:
        count = redis if shutil.which("redis-server") else 0
        servers = [stack.enter_context(LocalRedis(memory=0)) for _ in range(count)]
        yield Servers(fleet.addresses, [server.endpoint for server in servers])
