"""Calls of one process to the cache: each is timed, judged and recorded."""

import signal
from collections.abc import Callable, Iterable
from random import Random
from time import monotonic
from typing import Any

from django_dcache.backend import DistributedCache

from . import tagged_value
from .bumps import bumps
from .core_time import CoreTime
from .ground_truth import GroundTruth, key_name
from .history import Kind, Outcome, Recorder

MISSING = object()
INTERRUPT_SECONDS = 0.0008
"""After which a call is broken off, on average: about as long as it takes."""


class Interrupt(BaseException):
    """Out of a signal handler, as a greenlet's timeout or Celery's soft limit would come."""


class Client:
    """Calls Django's cache API and writes down what came of it."""

    def __init__(self, cache: DistributedCache, truth: GroundTruth, history: Recorder, writer: int, chance: Random):
        self.cache, self.truth, self.history, self.writer, self.chance = cache, truth, history, writer, chance
        self.complain: Callable[[str, BaseException], None] = lambda call, error: None
        self.interrupts = False
        """Whether calls are broken off by a signal now and then."""
        self.operation = 0
        self._fleet = cache.fleet
        self._state: Any = None
        self._serves_unproven = cache.fleet.options.on_unproven == "serve"
        self._breakable = False
        self.began = self.ended = 0.0
        self.outcome = Outcome.NONE
        self.loading = 0.0
        self._core, self._waited = CoreTime(), 0.0

    def call(self, function: Callable[..., Any], *arguments: Any, expected: tuple[type[Exception], ...] = ()) -> Any:
        """The result, or MISSING if it raised; `outcome` says what is known of a write that was asked for."""
        counters = self._fleet.counters
        failures, owed = counters["failures"], counters["bumps_owed"]
        self.loading, result, self.outcome = 0.0, MISSING, Outcome.OK
        self.began = monotonic()
        before = self._core.waited()
        try:
            result = self._interrupted(function, arguments) if self.interrupts else function(*arguments)
        except Interrupt:
            self.outcome = Outcome.UNKNOWN
        except expected:
            self.outcome = Outcome.FAIL
        except Exception as error:
            self.outcome = Outcome.RAISED
            self.complain(getattr(function, "__name__", "?"), error)
        self._waited = self._core.waited() - before
        self.ended = monotonic()
        if counters["bumps_owed"] != owed:
            self.outcome = max(self.outcome, Outcome.UNKNOWN)
        elif counters["failures"] != failures:
            self.outcome = max(self.outcome, Outcome.FAIL)
        # A part of it may have failed besides; what was read is no better for that.
        if self._serves_unproven and self.outcome in (Outcome.OK, Outcome.FAIL) and not self._fleet.proven:
            self.outcome = Outcome.UNPROVEN
        if self._fleet.view.state is not self._state:
            self._state = self._fleet.view.state
            self.record(Kind.LEARN, Outcome.OK, 0, bumps(self._state))
        return result

    def _interrupted(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """The result, unless a signal comes first. Raises Interrupt, wherever the call has come to."""
        # The handler stays: Python complains of a signal that comes when its handler has just been taken away.
        signal.signal(signal.SIGALRM, self._interrupt)
        self._breakable = True
        signal.setitimer(signal.ITIMER_REAL, max(1e-6, self.chance.expovariate(1 / INTERRUPT_SECONDS)))
        try:
            return function(*arguments)
        finally:
            self._breakable = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, number: int, frame: Any) -> None:
        if self._breakable:
            raise Interrupt

    def record(self, kind: int, outcome: int, key: int, version: int) -> None:
        """What the last call did to `key`."""
        self.history.add(
            kind, outcome, self.writer, key, version, self.began, self.ended,
            int((self.loading + self._waited) * 1e6), self._fleet.view.epoch,
        )  # fmt: skip

    def value(self, key: int, version: int) -> Any:
        self.operation += 1
        return tagged_value.make(tagged_value.Tag(key, version, self.writer, self.operation), self.chance)

    def saw(self, key: int, cell: int | None, value: Any) -> None:
        """Record what was read of `key`: `value`, or MISSING or None for a miss."""
        if self.outcome is Outcome.RAISED or value is None or value is MISSING:
            outcome = self.outcome if self.outcome is Outcome.RAISED else Outcome.OK
            self.record(Kind.READ, outcome, key, 0)
            return
        found = tagged_value.read(value)
        if found is None:
            self.record(Kind.READ, Outcome.CORRUPT, key, 0)
        elif found.key != key:
            self.record(Kind.READ, Outcome.FOREIGN, key, found.version)
        elif cell is not None and found.version > self.truth.cells[cell]:
            self.record(Kind.READ, Outcome.FUTURE, key, found.version)
        else:
            self.record(Kind.READ, self.outcome if self.outcome is Outcome.UNPROVEN else Outcome.OK, key, found.version)

    def wrote(self, key: int, version: int, done: bool = True) -> None:
        outcome = self.outcome if done or self.outcome is not Outcome.OK else Outcome.FAIL
        self.record(Kind.WRITE, outcome, key, version)

    def removed(self, key: int, version: int) -> None:
        self.record(Kind.REMOVE, self.outcome, key, version)

    def stalled(self, since: float) -> None:
        self.began, self.ended = since, monotonic()
        self.record(Kind.STALL, Outcome.OK, 0, 0)

    def tried(self) -> None:
        self.record(Kind.TRY, self.outcome, 0, 0)


def names(keys: Iterable[int]) -> dict[str, int]:
    return {key_name(key): key for key in keys}
