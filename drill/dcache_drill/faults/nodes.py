"""Nodes that die, hang, fill up or turn clients away."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from random import Random

from django_dcache.commands import Remove, Store
from django_dcache.flows import Flow
from django_dcache.model.state import state_key
from django_dcache.model.view import View

from ..plan import PREFIX
from ..testbed import Testbed

CONNECTIONS = 260
"""More connections than a node of the testbed takes."""
FLOOD_BYTES, BLOCK_BYTES = 96 * 2**20, 400_000
"""More than it holds, and of one item."""
AWAY_SECONDS = 30.0


def away_seconds(testbed: Testbed) -> float:
    """How long a node is dead that is dead for long; less in a short drill."""
    return min(AWAY_SECONDS, testbed.plan.seconds / 4)


def kill(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node dies, and comes back empty."""
    with testbed.holding(chance) as name:
        testbed.node(name).kill()
        yield name
        testbed.node(name).start()


def node_away(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node is dead for half a minute, and comes back empty at the same address."""
    with testbed.holding(chance) as name:
        testbed.node(name).kill()
        time.sleep(away_seconds(testbed))
        testbed.node(name).start()
        yield name


def dead_in_turn(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node dies and comes back empty; hardly is it back when the next one dies."""
    first, second = chance.sample(testbed.serving(), 2)
    for name in (first, second):
        with testbed.holding_all([name]):
            testbed.node(name).kill()
            time.sleep(chance.uniform(1.0, 8.0))
            testbed.node(name).start()
        time.sleep(chance.uniform(0.0, 1.0))
    yield f"{first} {second}"


def restart(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node restarts empty at once."""
    with testbed.holding(chance) as name:
        testbed.node(name).restart()
        yield name


def freeze(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node hangs (SIGSTOP), and executes what it was sent when it wakes."""
    with testbed.holding(chance) as name:
        testbed.node(name).freeze()
        yield name
        testbed.node(name).thaw()


def long_freeze(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node hangs for long enough to be taken out, and comes back with what it held."""
    with testbed.holding(chance) as name:
        testbed.node(name).freeze()
        time.sleep(chance.uniform(4.0, 8.0))
        testbed.node(name).thaw()
        yield name


def flap(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node hangs and wakes a few times."""
    with testbed.holding(chance) as name:
        for _ in range(chance.randint(2, 4)):
            testbed.node(name).freeze()
            time.sleep(chance.uniform(0.1, 0.7))
            testbed.node(name).thaw()
            time.sleep(chance.uniform(0.1, 0.7))
        yield name


def bounce(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node hangs, is killed while it hangs, and comes back empty: a lease of before must be worth nothing."""
    with testbed.holding(chance) as name:
        for _ in range(2):
            testbed.node(name).freeze()
            time.sleep(chance.uniform(0.05, 0.3))
            testbed.node(name).restart()
            time.sleep(chance.uniform(0.05, 0.3))
        yield name


def restarts(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node restarts empty again and again, and counts leases anew each time."""
    with testbed.holding(chance) as name:
        for _ in range(12):
            testbed.node(name).restart()
            time.sleep(chance.uniform(0.1, 0.5))
        yield name


def keepers_lost(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Most keepers die at once and come back empty: what they knew is known to the processes only."""
    names = chance.sample(testbed.serving(), 2)
    with testbed.holding_all(names):
        for name in names:
            testbed.node(name).kill()
        yield " ".join(names)
        for name in names:
            testbed.node(name).start()


def eviction(testbed: Testbed, chance: Random) -> Iterator[str]:
    """The items of another site push ours out."""
    name = chance.choice(testbed.serving())
    testbed.excused = True
    for number in range(FLOOD_BYTES // BLOCK_BYTES):
        testbed.fleet.run(_store, name, b"%b-flood:%d" % (PREFIX.encode(), number))
    yield name


def _store(view: View, node: str, key: bytes) -> Flow[None]:
    yield {node: [Store(key, 0, b"x" * BLOCK_BYTES, ttl=20)]}


def maxconns(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node takes no new connection."""
    name = chance.choice(testbed.serving())
    with ExitStack() as taken:
        for _ in range(CONNECTIONS):
            with suppress(OSError):
                taken.enter_context(socket.create_connection(testbed.endpoint(name), 0.2))
        for worker in testbed.workers:
            for proxy in testbed.networks(name, [worker]):
                proxy.drop_connections()
        yield name


def map_evicted(testbed: Testbed, chance: Random) -> Iterator[str]:
    """The fleet's state is gone from every node, as a neighbour's items push it out; the processes remember it."""
    testbed.fleet.run(_forget_state)
    yield ""


def map_evicted_while_idle(testbed: Testbed, chance: Random) -> Iterator[str]:
    """The same while no process of the site is alive: the next ones begin by what their settings say."""
    for worker in list(testbed.workers):
        testbed.kill_worker(worker)
    testbed.settle_location()
    testbed.fleet.run(_forget_state)
    testbed.forget_fleet()
    for _ in range(testbed.plan.workers):
        testbed.start_worker()
    testbed.await_work()
    yield ""


def _forget_state(view: View) -> Flow[None]:
    yield {name: [Remove(state_key(view.fleet))] for name in view.state.topology.nodes}
