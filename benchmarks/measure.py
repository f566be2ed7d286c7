"""The least time a call takes, for several competitors in turn."""

import gc
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import TypeVar

from .operations import Call

SAMPLE_SECONDS = 0.002
"""Short enough to fit, now and then, between two interruptions by other processes."""
WARM_SECONDS = 0.05
"""Of each call, before the clock starts: a process finds out once where the parts of a ring lead, for instance."""
CALL_SECONDS = 2.0
"""A backend that has had this much time in all gets no more samples: a thousand keys one by one take long."""


Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Figure:
    """Microseconds per call: on the clock, and of this process's CPU."""

    us: float
    cpu_us: float

    def least(self, other: "Figure") -> "Figure":
        return Figure(min(self.us, other.us), min(self.cpu_us, other.cpu_us))


def interleaved(calls: Mapping[Name, Call], samples: int) -> dict[Name, Figure]:
    """The least of `samples` samples of each call, taken in turn, so that they share good times and bad."""
    counts = {name: _count(call) for name, call in calls.items()}
    best: dict[Name, Figure] = {}
    spent = dict.fromkeys(calls, 0.0)
    gc.collect()
    gc.disable()
    try:
        for _ in range(samples):
            for name, call in calls.items():
                if spent[name] > CALL_SECONDS:
                    continue
                figure = _sample(call, counts[name])
                spent[name] += figure.us * counts[name] / 1e6
                best[name] = figure.least(best.get(name, figure))
            gc.collect(0)
    finally:
        gc.enable()
    return best


def _count(call: Call) -> int:
    """How many calls make a sample."""
    begins = time.perf_counter() + WARM_SECONDS
    for _ in range(3):
        call()
    while time.perf_counter() < begins:
        call()
    return max(1, round(SAMPLE_SECONDS / (_sample(call, 5).us / 1e6)))


def _sample(call: Call, count: int) -> Figure:
    clock, cpu = time.perf_counter(), time.process_time()
    for _ in repeat(None, count):
        call()
    return Figure((time.perf_counter() - clock) / count * 1e6, (time.process_time() - cpu) / count * 1e6)
