"""Whether one server answers at a node's address, or several do by turns: pods behind one name, targets of a balancer.

Each has a mark among its items that no other has (engines/*/greeting.py). A mark that is replaced is that of a server
that restarted, or lost its items. One that was replaced and is found again is that of another server, which ran all the
time, and whose items are as old as that (docs/adr/0045).
"""

import threading
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from random import random
from time import time
from weakref import ref

from ..errors import SeveralServers
from .connection import Connection

REMEMBERED = 16
"""Marks that were replaced."""
ALIKE = 20
"""Connections in a row that have to lead to one server before an address that led to several is used again: with two
at random it is a chance of one in a million."""
EARLY_LOOKS, EARLY_SECONDS, LOOK_SECONDS = 5, 1.0, 60.0
"""How often one connection is replaced, for the new one may lead to another server: these times a second apart, in a
new process and where another server was met, and once a minute after that."""


class Met(Enum):
    """What a greeting shows."""

    SAME = auto()
    ANOTHER = auto()
    """The server of before is gone, or has lost its items."""
    EARLIER = auto()
    """It was answered before another server was found: what is said now will tell."""
    SEVERAL = auto()
    ONE_AGAIN = auto()
    """There is one server, with items of any age."""


class Marks:
    """Those that were found at one address, in the order in which they were. Safe under threads."""

    def __init__(self) -> None:
        self.last = ""
        self._several, self._alike = False, 0
        self._replaced: dict[str, float] = {}
        """When another one was found in its place, by mark (monotonic)."""
        self._lock = threading.Lock()  # protects everything above

    def found(self, mark: str, began: float, now: float) -> Met:
        """Take note of the `mark` in the answer to a greeting that `began` then; empty: it could not be told."""
        with self._lock:
            if mark in ("", self.last):
                return self._alike_again(1 if mark else 0)
            replaced_at = self._replaced.get(mark)
            if replaced_at is not None and began <= replaced_at:
                return Met.EARLIER
            before, self.last, self._alike = self.last, mark, 0
            if before:
                self._replaced[before] = now
            while len(self._replaced) > REMEMBERED:
                del self._replaced[next(iter(self._replaced))]
            self._several |= replaced_at is not None
            if self._several:
                return Met.SEVERAL
            return Met.ANOTHER if before else Met.SAME

    def _alike_again(self, count: int) -> Met:
        if not self._several:
            return Met.SAME
        self._alike += count
        if self._alike < ALIKE:
            return Met.SEVERAL
        self._several = False
        return Met.ONE_AGAIN

    def after_fork(self) -> None:
        """In a child: a thread that held the lock does not exist here."""
        self._lock = threading.Lock()


class Servers:
    """Those that answer at the address of one node, and this process's connections to them."""

    def __init__(self, clock: Callable[[], float]):
        self.mixed = ""
        """Of an address that led to several servers and leads to one now: the incarnation by which all slots are to be
        renewed. The same for all processes that find that in the same minute."""
        self._open: dict[object, ref[Connection]] = {}
        """The connections, idle or in use, the oldest first."""
        self._clock, self._marks = clock, Marks()
        self._early_looks, self._look_at = EARLY_LOOKS, clock() + EARLY_SECONDS

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def connect(self, open_: Callable[[Callable[[], object]], Connection], seconds: float) -> Connection:
        """A new connection, made by `open_(closed)`, to the one server there is. Raises SeveralServers, NotGreeted."""
        token, began = object(), self._clock()
        connection = open_(partial(self._open.pop, token, None))
        self._open[token] = ref(connection)
        self.meet(connection, began, seconds)
        return connection

    def meet(self, connection: Connection, began: float, seconds: float) -> None:
        """Judge by a greeting that has just been answered, and `began` then. Raises SeveralServers, NotGreeted."""
        met = self._marks.found(connection.mark, began, self._clock())
        while met is Met.EARLIER:
            now = self._clock()
            connection.greet(began + seconds - now)
            met = self._marks.found(connection.mark, now, self._clock())
        if met in (Met.ANOTHER, Met.SEVERAL):
            self._early_looks = EARLY_LOOKS
            for other in self._connections():
                if other is not connection:
                    other.let_go()
        if met is Met.SEVERAL:
            connection.close()
            raise SeveralServers(node=connection.node)
        if met is Met.ONE_AGAIN:
            self.mixed = f"{self._marks.last.partition(',')[0]},{int(time() // 60)}"

    def look_afresh(self, now: float) -> None:
        """Let go of the oldest connection, if it is time for that."""
        if now < self._look_at or not self._open:
            return
        # A balancer that goes round must not give two processes a server each because they look by turns.
        self._look_at = now + (EARLY_SECONDS if self._early_looks > 0 else LOOK_SECONDS) * (0.5 + random())
        self._early_looks -= 1
        for connection in self._connections()[:1]:
            connection.let_go()

    def after_fork(self) -> None:
        """In a child: the connections are the parent's."""
        self._open = {}
        self._marks.after_fork()

    def _connections(self) -> list[Connection]:
        return [connection for known in list(self._open.values()) if (connection := known())]
