"""The addresses of the nodes' names. Asking for them knows no deadline, so no request does it: a thread asks, the
request waits as long as it can, and a name that was resolved once keeps its last addresses while nothing newer comes.
"""

import socket
import threading
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from typing import Any

from ..errors import NodeUnresolved
from . import forks

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
        self.hosts: list[tuple[int, str, tuple[Any, ...]]] = []
        """(family, host, the rest of a socket address after the port) of each address, the one that answered first."""
        self.error = "its name server has not answered yet"
        self.asked_at, self.first_asked_at = float("-inf"), 0.0
        self.done = threading.Event()
        self.asking = False

    def ask(self) -> None:
        """Start a lookup, unless one is under way."""
        if self.asking or not _slots.acquire(blocking=False):
            return
        self.asking, self.asked_at = True, monotonic()
        if not self.first_asked_at:
            self.first_asked_at = self.asked_at
        try:
            threading.Thread(target=self._look_up, name=f"dcache-lookup-{self.host}", daemon=True).start()
        except RuntimeError as error:  # No more threads, or the interpreter is ending.
            self.error = str(error)
            self._end()

    def _look_up(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
            hosts = [(int(family), str(where[0]), tuple(where[2:])) for family, _, _, _, where in found]
            first = self.hosts[:1]
            # The one that answers stays the first, as long as the name has it.
            self.hosts = sorted(dict.fromkeys(hosts), key=lambda host: host not in first)
        except (OSError, UnicodeError) as error:
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self._end()

    def _end(self) -> None:
        self.asking = False
        _slots.release()
        self.done.set()


_names: dict[str, Name] = {}
_slots = threading.BoundedSemaphore(MAX_LOOKUPS)


def addresses(host: str, port: int, seconds: float) -> list[Address]:
    """Where to connect to, the address that answered last first. Only the first lookup is waited for, until it is
    `seconds` old: a silent name server costs a process that once, and not again at each probe. Raises NodeUnresolved.
    """
    literal = _literal(host)
    if literal is not None:
        return [(literal, (host, port))]
    name = _names.get(host) or _names.setdefault(host, Name(host))
    if monotonic() - name.asked_at > (FRESH_SECONDS if name.hosts else AGAIN_SECONDS):
        name.ask()
    left = name.first_asked_at + seconds - monotonic()
    if name.asking and not name.hosts and left > 0:
        name.done.wait(left)
    hosts = name.hosts
    if not hosts:
        raise NodeUnresolved(f"{host}: {name.error}")
    return [(family, (address, port, *rest)) for family, address, rest in hosts]


def expect(host: str) -> None:
    """Start to ask for a name that will be needed, without waiting."""
    if _literal(host) is None and host not in _names:
        _names.setdefault(host, Name(host)).ask()


def answered(host: str, address: str) -> None:
    """This address of the name took a connection: the next one goes there too."""
    name = _names.get(host)
    if name and name.hosts and name.hosts[0][1] != address:
        name.hosts = sorted(name.hosts, key=lambda entry: entry[1] != address)


def refresh(host: str) -> None:
    """None of its addresses took a connection: they may have changed."""
    name = _names.get(host)
    if name and monotonic() - name.asked_at > AGAIN_SECONDS:
        name.ask()


@lru_cache(1024)
def _literal(host: str) -> int | None:
    try:
        return socket.AF_INET if ip_address(host.partition("%")[0]).version == 4 else socket.AF_INET6
    except ValueError:
        return None


@forks.in_child
def _after_fork() -> None:
    """The threads that ask are the parent's."""
    global _slots
    _slots = threading.BoundedSemaphore(MAX_LOOKUPS)
    for name in list(_names.values()):
        name.done, name.asking = threading.Event(), False
        if not name.hosts:
            name.asked_at, name.first_asked_at = float("-inf"), 0.0
