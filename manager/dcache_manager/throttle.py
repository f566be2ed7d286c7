"""How fast keys are moved: no faster than the operator allows, in batches no larger than the nodes bear."""

from collections.abc import Callable

MAX_BATCH_KEYS = 1024
"""More would gain nothing."""
MIN_BATCH_KEYS = 32
"""Fewer would gain nothing either: what takes the time by then is the way to the nodes, not the keys."""
FIRST_BATCH_KEYS = 128
CREDIT_SECONDS = 0.1
"""Unused time is saved up for this long."""


class Throttle:
    """At most `rate` keys a second (None: no limit), in batches that take about `seconds` each.

    A batch that takes longer than an operation may is worse than slow: its replies count as lost, and what a lost reply
    may have stored is forgotten. So the next batch is cut to what the last one shows to be possible.
    """

    def __init__(self, rate: float | None, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]):
        self._rate, self._seconds, self._clock, self._sleep = rate, seconds, clock, sleep
        self._next = clock()
        self.batch = FIRST_BATCH_KEYS
        """How many keys the next batch should have."""
        self._limit()

    def limit(self, rate: float | None) -> None:
        """From now on, at most `rate` keys a second."""
        self._rate = rate
        self._limit()

    def spend(self, keys: int) -> None:
        """Wait until `keys` more may be moved."""
        if not self._rate:
            return
        now = self._clock()
        self._next = max(self._next, now - CREDIT_SECONDS)
        if self._next > now:
            self._sleep(self._next - now)
        self._next += keys / self._rate

    def took(self, keys: int, seconds: float) -> None:
        """A batch of `keys` took this long: the next one is cut to fit."""
        fitting = keys * self._seconds / seconds if seconds > 0 else MAX_BATCH_KEYS
        self.batch = int(max(MIN_BATCH_KEYS, min(fitting, self.batch * 2)))
        self._limit()

    def _limit(self) -> None:
        most = min(MAX_BATCH_KEYS, int(self._rate * CREDIT_SECONDS)) if self._rate else MAX_BATCH_KEYS
        self.batch = max(1, min(self.batch, most))
