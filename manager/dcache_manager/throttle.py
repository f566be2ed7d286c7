"""How fast keys are moved: no faster than the operator allows, in batches no larger than the nodes bear."""

from collections.abc import Callable

MOST = 1024
"""Keys in a batch: more would gain nothing."""
LEAST = 32
"""Fewer would gain nothing either: what takes the time by then is the way to the nodes, not the keys."""
FIRST = 128


class Pace:
    """At most `rate` keys a second (None: as fast as it goes), in batches that take about `seconds` each.

    A batch that takes longer than an operation may is worse than slow: its replies count as lost, and what a lost reply
    may have stored is forgotten. So the next batch is cut to what the last one shows to be possible.
    """

    def __init__(self, rate: float | None, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]):
        self._rate, self._seconds, self._clock, self._sleep = rate, seconds, clock, sleep
        self._next = clock()
        self.batch = FIRST
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
        # Unused time is not saved up for longer than a tenth of a second.
        self._next = max(self._next, now - 0.1)
        if self._next > now:
            self._sleep(self._next - now)
        self._next += keys / self._rate

    def took(self, keys: int, seconds: float) -> None:
        """A batch of `keys` took so long."""
        fitting = keys * self._seconds / seconds if seconds > 0 else MOST
        self.batch = int(max(LEAST, min(fitting, self.batch * 2)))
        self._limit()

    def _limit(self) -> None:
        most = min(MOST, int(self._rate / 10)) if self._rate else MOST
        self.batch = max(1, min(self.batch, most))
