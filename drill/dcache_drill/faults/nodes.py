"""Nodes that die, hang, fill up or turn clients away."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from random import Random

from django_dcache.testing import dial

from ..arena import Arena
from ..terms import PREFIX
from .fault import fault

MANY = 260
"""More connections than a node of the arena takes."""
FLOOD = 96 * 2**20
"""Bytes: more than it holds."""


@fault
def kill(arena: Arena, chance: Random) -> Iterator[str]:
    """A node dies, and comes back empty."""
    with arena.holding(chance) as name:
        arena.node(name).kill()
        yield name
        arena.node(name).start()


@fault
def restart(arena: Arena, chance: Random) -> Iterator[str]:
    """A node restarts empty at once."""
    with arena.holding(chance) as name:
        arena.node(name).restart()
        yield name


@fault
def freeze(arena: Arena, chance: Random) -> Iterator[str]:
    """A node hangs (SIGSTOP), and executes what it was sent when it wakes."""
    with arena.holding(chance) as name:
        arena.node(name).freeze()
        yield name
        arena.node(name).thaw()


@fault
def flap(arena: Arena, chance: Random) -> Iterator[str]:
    """A node hangs and wakes a few times."""
    with arena.holding(chance) as name:
        for _ in range(chance.randint(2, 4)):
            arena.node(name).freeze()
            time.sleep(chance.uniform(0.1, 0.7))
            arena.node(name).thaw()
            time.sleep(chance.uniform(0.1, 0.7))
        yield name


@fault
def bounce(arena: Arena, chance: Random) -> Iterator[str]:
    """A node hangs, is killed while it hangs, and comes back empty: a lease of before must be worth nothing."""
    with arena.holding(chance) as name:
        for _ in range(2):
            arena.node(name).freeze()
            time.sleep(chance.uniform(0.05, 0.3))
            arena.node(name).restart()
            time.sleep(chance.uniform(0.05, 0.3))
        yield name


@fault
def restarts(arena: Arena, chance: Random) -> Iterator[str]:
    """A node restarts empty again and again, and counts leases anew each time."""
    with arena.holding(chance) as name:
        for _ in range(12):
            arena.node(name).restart()
            time.sleep(chance.uniform(0.1, 0.5))
        yield name


@fault
def keepers_lost(arena: Arena, chance: Random) -> Iterator[str]:
    """Most keepers die at once and come back empty: what they knew is known to the processes only."""
    names = chance.sample(arena.serving(), 2)
    with arena.holding_all(names):
        for name in names:
            arena.node(name).kill()
        yield " ".join(names)
        for name in names:
            arena.node(name).start()


@fault
def eviction(arena: Arena, chance: Random) -> Iterator[str]:
    """Somebody else's items push ours out."""
    name = chance.choice(arena.serving())
    block = b"x" * 100_000
    with suppress(OSError), dial(arena.node(name).address, 2.0) as connection:
        for number in range(FLOOD // len(block)):
            key = b"%b-flood:%d" % (PREFIX.encode(), number)
            connection.sendall(b"ms %b %d T20 q\r\n%b\r\n" % (key, len(block), block))
    yield name


@fault
def maxconns(arena: Arena, chance: Random) -> Iterator[str]:
    """A node has no connection left for anybody new."""
    name = chance.choice(arena.serving())
    with ExitStack() as taken:
        for _ in range(MANY):
            with suppress(OSError):
                taken.enter_context(socket.create_connection(arena.endpoint(name), 0.2))
        for worker in arena.workers:
            for proxy in arena.networks(name, [worker]):
                proxy.drop_connections()
        yield name
