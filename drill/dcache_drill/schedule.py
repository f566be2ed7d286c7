"""What is broken when, drawn from a seed."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

KEEP_NODES_DOWN = ("keepers-lost", "kill", "freeze")
"""A resize may not come to its end meanwhile: these begin last, since what begins last is mended first."""
SHORT_SECONDS, LONG_SECONDS = (0.3, 1.5), (3.0, 10.0)


class Episode(NamedTuple):
    """Faults that begin together, and for how many seconds they last at least."""

    faults: tuple[str, ...]
    seconds: float
    seed: int


class Phase(NamedTuple):
    """A stretch of a drill in which one thing happened. A fault has its effects until some time after its end."""

    number: int
    name: str
    began: float
    """Monotonic."""
    ended: float
    excused: bool = False
    """A node was ill, or every worker's way to it, or a process died in a write: values may be missing."""
    ill: tuple[int, ...] = ()
    """Numbers of the workers that were broken, or whose own networks were."""


def schedule(seed: int, names: Sequence[str], seconds: float, calm: float) -> list[Episode]:
    """Episodes for that many seconds: every fault once before any comes again, sometimes two at a time."""
    chance, episodes, left = Random(seed), [], seconds
    bag: list[str] = []
    while left > 0:
        faults = []
        for _ in range(1 if chance.random() < 0.7 else 2):
            bag = bag or chance.sample(list(names), len(names))
            faults += bag.pop().split("+")
        length = chance.uniform(*(SHORT_SECONDS if chance.random() < 0.6 else LONG_SECONDS))
        # Resizes come one at a time.
        resizes = [name for name in faults if name.startswith("rebalance")]
        faults = [name for name in faults if name not in resizes or name == resizes[0]]
        faults.sort(key=KEEP_NODES_DOWN.__contains__)
        episodes.append(Episode(tuple(dict.fromkeys(faults)), min(length, seconds / 4), chance.randrange(2**32)))
        left -= length + calm
    return episodes
