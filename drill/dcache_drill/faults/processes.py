"""Processes of the site that stop, die and fork."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from ..ground_truth import Instruction
from ..testbed import Testbed, Worker

PAUSE_SECONDS = (0.3, 3.0)
LIFE_SECONDS = 1.0
"""Of a process that hardly begins before it ends."""


@contextmanager
def _frozen(testbed: Testbed, workers: Sequence[Worker]) -> Iterator[None]:
    testbed.ill.update(worker.number for worker in workers)
    for worker in workers:
        worker.freeze()
    yield
    for worker in workers:
        worker.thaw()


def worker_frozen(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A process stands still for longer than anything it knows is good for, at whatever it was doing."""
    workers = chance.sample(testbed.workers, 2)
    with _frozen(testbed, workers):
        yield " ".join(f"w{worker.number}" for worker in workers)


def worker_stutters(testbed: Testbed, chance: Random) -> Iterator[str]:
    """All processes but one stand still again and again, for about as long as an operation may last."""
    for _ in range(6):
        with _frozen(testbed, chance.sample(testbed.workers, len(testbed.workers) - 1)):
            time.sleep(chance.uniform(0.2, 3) * testbed.plan.timeout)
        time.sleep(chance.uniform(0.05, 0.2))
    yield ""


def worker_pauses(testbed: Testbed, chance: Random) -> Iterator[str]:
    """One process after the other stands still for 0.3 to 3 seconds (a CPU quota, a debugger, a long computation)."""
    words = []
    for _ in range(4):
        worker, seconds = chance.choice(testbed.workers), chance.uniform(*PAUSE_SECONDS)
        with _frozen(testbed, [worker]):
            time.sleep(seconds)
        words.append(f"w{worker.number} {seconds:.1f} s")
    yield ", ".join(words)


def worker_killed(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A process dies at whatever it was doing, and another one begins."""
    worker = chance.choice(testbed.networked())
    testbed.kill_worker(worker)
    testbed.start_worker()
    yield f"w{worker.number}"


def worker_forks(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Processes fork in the middle of their work, and both continue."""
    for worker in testbed.workers:
        testbed.instruct(worker, Instruction.FORK)
    yield ""


def raw_forks(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Processes fork without Python's knowledge, as a server written in C does, and both continue."""
    for worker in chance.sample(testbed.workers, 2):
        testbed.instruct(worker, Instruction.RAW_FORK)
    yield ""


def short_lived(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Processes that live for a second, one after the other: each knows nothing when it begins."""
    for _ in range(3):
        testbed.await_end(testbed.start_worker(LIFE_SECONDS))
    yield ""


def interrupts(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Calls are broken off at any point by what is no Exception, as a greenlet's timeout or a signal does."""
    workers = list(testbed.workers)
    testbed.ill.update(worker.number for worker in workers)
    for worker in workers:
        testbed.instruct(worker, Instruction.INTERRUPT)
    yield ""
    for worker in workers:
        testbed.instruct(worker, Instruction.INTERRUPT_NO_MORE)
