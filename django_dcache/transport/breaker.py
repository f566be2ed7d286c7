"""One breaker a node: up, suspect after a failure, down after three or when nothing listens; probed by one caller."""

import random
import threading
from collections.abc import Callable, Iterable
from enum import StrEnum
from time import monotonic

FAILURES = 3
FIRST_PROBE, LAST_PROBE = 0.5, 8.0
"""Seconds until the first probe of a node that went down, and the most that later ones are apart."""
LAST_PROBE_AWAITED = 1.0
"""The same while no node answers (that is the network of this process, more likely), for a keeper without which nothing
can be proven, and for a node that other processes reach: it is in use, and what they store there is missed here."""


class State(StrEnum):
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class Breaker:
    """Whether a node may be asked now. Every caller that was admitted says how it went."""

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        chance: Callable[[], float] = random.random,
        siblings: Callable[[], Iterable["Breaker"]] = tuple,
        awaited: Callable[[], bool] = bool,
    ):
        """`siblings`: those of all nodes that this process speaks to. `awaited`: whether it is to be found soon."""
        self.state, self.since = State.UP, clock()
        self.clock, self._chance, self._siblings, self._awaited = clock, chance, siblings, awaited
        self._failures, self._pause = 0, FIRST_PROBE
        self._left_alone = (0.0, 0.0, 0.0)
        """(since when, seconds until its next probe, the same while it is awaited)."""
        self._down_since: float | None = None
        """When it went down, until it is up again: it may be suspect in between, and go down once more."""
        self.failing_since: float | None = None
        """When it failed first, since it answered last."""
        self._absent = False
        self._lock = threading.Lock()  # protects everything above; never held while anything waits

    def admits(self) -> bool:
        """True if the node is not down, and for one caller whenever a probe is due."""
        if self.state is not State.DOWN:
            return True
        with self._lock:
            if not self._due():
                return False
            # The next caller is let through only after this probe had its time, whatever becomes of its caller.
            self._leave_alone()
            return True

    @property
    def refuses(self) -> bool:
        """Whether no caller would be admitted now."""
        return self.state is State.DOWN and not self._due()

    @property
    def silent_seconds(self) -> float:
        """For how long it is down because it says nothing; infinite if nothing listens there."""
        return float("inf") if self._absent else self.clock() - self.since

    def succeeded(self) -> float | None:
        """The seconds it was down, if that is over now."""
        if self.state is State.UP:
            return None
        with self._lock:
            self.failing_since = None
            if self.state is not State.DOWN:
                self._become(State.UP)
                self._failures, self._pause = 0, FIRST_PROBE
                since, self._down_since = self._down_since, None
                return None if since is None else self.since - since
            self._returns()
        # It may have been this process that was cut off: from the others, too.
        for breaker in self._siblings():
            breaker.hurry()
        return None

    def vouched(self) -> None:
        """Other processes reach it: so does this one, until it finds that it does not."""
        with self._lock:
            if self.state is State.DOWN:
                self.failing_since = None
                self._returns()

    def hurry(self) -> None:
        """If the node is down, a probe is due at once."""
        with self._lock:
            if self.state is State.DOWN:
                self._left_alone, self._pause = (self.clock(), 0.0, 0.0), FIRST_PROBE

    def failed(self, absent: bool = False) -> bool:
        """Whether it is down now and was up. `absent`: nothing listens there, so asking again at once is pointless."""
        with self._lock:
            self._failures += 1
            self._absent = absent
            if self.failing_since is None:
                self.failing_since = self.clock()
            if self.state is State.DOWN:
                return False
            if absent or self._failures >= FAILURES:
                self._become(State.DOWN)
                self._leave_alone()
                fresh = self._down_since is None
                if fresh:
                    self._down_since = self.since
                return fresh
            self._become(State.SUSPECT)
            return False

    def after_fork(self) -> None:
        """In a child: a thread that held the lock does not exist here."""
        self._lock = threading.Lock()

    def _returns(self) -> None:
        # Hysteresis: a node that just came back is one failure away from being down again.
        self._become(State.SUSPECT)
        self._failures = FAILURES - 1

    def _become(self, state: State) -> None:
        if state is not self.state:
            self.state, self.since = state, self.clock()

    def _leave_alone(self) -> None:
        # Processes that saw the node fail together must not probe it together.
        luck = 0.75 + self._chance() / 2
        self._left_alone = self.clock(), self._pause * luck, min(self._pause, LAST_PROBE_AWAITED) * luck
        self._pause = min(self._pause * 2, LAST_PROBE)

    def _due(self) -> bool:
        since, most, least = self._left_alone
        seconds = self.clock() - since
        # Asked at each call: often it turns out only after a probe has failed that the node is in use.
        return seconds >= most or (seconds >= least and self._is_awaited())

    def _is_awaited(self) -> bool:
        return self._awaited() or {breaker.state for breaker in self._siblings()} == {State.DOWN}
