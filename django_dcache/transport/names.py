"""The addresses of the nodes' names. Asking for them knows no deadline, so no request does it: a thread asks, the
request waits as long as it can, and a name that was resolved once keeps its last addresses while nothing newer comes.
"""

import socket
import threading
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from typing import Any

from ..errors import NodeUnresolved
from . import forks

Host = tuple[int, str, tuple[Any, ...]]
"""(family, address, what follows the port where a socket of it connects to)"""
Address = tuple[int, Any]
"""(family, what a socket of it connects to)"""

FRESH_SECONDS = 10.0
"""Addresses older than this are used, and asked for once more in the background."""
AGAIN_SECONDS = 1.0
"""Between two questions for a name that has no answer, or whose addresses do not."""
MAX_LOOKUPS = 16
"""Threads that ask at the same time, in one process."""


class Name:
    """What is known of one host name."""

    def __init__(self, host: str):
        self.host = host
        self.hosts: list[Host] = []
        """Its addresses, the one that answered last first."""
        self.error = "its name server has not answered yet"
        self.asked_at, self.first_asked_at = float("-inf"), 0.0
        self.asking = False
        self.done = threading.Event()


class Resolver:
    """The names of one process."""

    def __init__(self, look_up: Callable[[str], list[Host]], clock: Callable[[], float] = monotonic):
        self._look_up, self._clock = look_up, clock
        self._names: dict[str, Name] = {}
        self._slots = threading.BoundedSemaphore(MAX_LOOKUPS)

    def addresses(self, host: str, port: int, seconds: float) -> list[Address]:
        """Where to connect to, the address that answered last first. Only the first lookup is waited for, until it is
        `seconds` old: a silent name server costs a process that once, and not again at each probe.

        Raises NodeUnresolved.
        """
        literal = _literal(host)
        if literal is not None:
            return [(literal, (host, port))]
        name = self._names.get(host) or self._names.setdefault(host, Name(host))
        if self._clock() - name.asked_at > (FRESH_SECONDS if name.hosts else AGAIN_SECONDS):
            self._ask(name)
        left = name.first_asked_at + seconds - self._clock()
        if name.asking and not name.hosts and left > 0:
            name.done.wait(left)
        hosts = name.hosts
        if not hosts:
            raise NodeUnresolved(f"{host}: {name.error}")
        return [(family, (address, port, *rest)) for family, address, rest in hosts]

    def answered(self, host: str, address: str) -> None:
        """This address of the name took a connection: the next one goes there too."""
        name = self._names.get(host)
        if name and name.hosts and name.hosts[0][1] != address:
            name.hosts = sorted(name.hosts, key=lambda entry: entry[1] != address)

    def refresh(self, host: str) -> None:
        """None of its addresses took a connection: they may have changed."""
        name = self._names.get(host)
        if name and self._clock() - name.asked_at > AGAIN_SECONDS:
            self._ask(name)

    def after_fork(self) -> None:
        """In a child: the threads that ask are the parent's."""
        self._slots = threading.BoundedSemaphore(MAX_LOOKUPS)
        for name in list(self._names.values()):
            name.done, name.asking = threading.Event(), False
            if not name.hosts:
                name.asked_at, name.first_asked_at = float("-inf"), 0.0

    def _ask(self, name: Name) -> None:
        """Start a lookup, unless one is under way."""
        slots = self._slots
        if name.asking or not slots.acquire(blocking=False):
            return
        name.asking, name.asked_at = True, self._clock()
        if not name.first_asked_at:
            name.first_asked_at = name.asked_at
        try:
            threading.Thread(target=self._answer, args=(name, slots), name=f"dcache-{name.host}", daemon=True).start()
        except RuntimeError as error:  # No more threads, or the interpreter is ending.
            name.error = str(error)
            self._end(name, slots)

    def _answer(self, name: Name, slots: threading.Semaphore) -> None:
        try:
            first = name.hosts[:1]
            # The one that answers stays the first, as long as the name has it.
            name.hosts = sorted(self._look_up(name.host), key=lambda host: host not in first)
        except (OSError, UnicodeError) as error:
            name.error = f"{type(error).__name__}: {error}"
        finally:
            self._end(name, slots)

    @staticmethod
    def _end(name: Name, slots: threading.Semaphore) -> None:
        name.asking = False
        slots.release()
        name.done.set()


def look_up(host: str) -> list[Host]:
    """The addresses that the system knows for a name, each once, in its order. Takes as long as it likes."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(family), str(where[0]), tuple(where[2:])) for family, _, _, _, where in found))


resolver = Resolver(look_up)
forks.in_child(resolver.after_fork)


@lru_cache(1024)
def _literal(host: str) -> int | None:
    try:
        return socket.AF_INET if ip_address(host.partition("%")[0]).version == 4 else socket.AF_INET6
    except ValueError:
        return None
