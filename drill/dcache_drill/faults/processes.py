"""Processes of the site that stop, die and fork."""

import time
from collections.abc import Iterator
from random import Random

from ..arena import Arena
from ..truth import Order
from .fault import fault


@fault
def worker_frozen(arena: Arena, chance: Random) -> Iterator[str]:
    """A process stands still for longer than anything it knows is good for, at whatever it was doing."""
    workers = chance.sample(arena.workers, 2)
    for worker in workers:
        worker.freeze()
    yield " ".join(f"w{worker.number}" for worker in workers)
    for worker in workers:
        worker.thaw()


@fault
def worker_stutters(arena: Arena, chance: Random) -> Iterator[str]:
    """All processes but one stand still again and again, for about as long as an operation may last."""
    for _ in range(6):
        workers = chance.sample(arena.workers, len(arena.workers) - 1)
        for worker in workers:
            worker.freeze()
        time.sleep(chance.uniform(0.2, 3) * arena.terms.timeout)
        for worker in workers:
            worker.thaw()
        time.sleep(chance.uniform(0.05, 0.2))
    yield ""


@fault
def worker_killed(arena: Arena, chance: Random) -> Iterator[str]:
    """A process dies at whatever it was doing, and another one begins."""
    worker = chance.choice(arena.workers[1:])
    arena.dismiss(worker)
    arena.hire()
    yield f"w{worker.number}"


@fault
def worker_forks(arena: Arena, chance: Random) -> Iterator[str]:
    """Processes fork in the middle of their work, and both go on."""
    for worker in arena.workers:
        arena.order(worker, Order.FORK)
    yield ""


@fault
def interrupts(arena: Arena, chance: Random) -> Iterator[str]:
    """Calls are broken off at any point by what is no Exception, as a greenlet's timeout or a signal does."""
    for worker in arena.workers:
        arena.order(worker, Order.INTERRUPT)
    yield ""
    for worker in arena.workers:
        arena.order(worker, Order.GO_ON)
