"""Warming items with a few threads: bounded in number, in rate, and in what is held of a generator.

The generator is drained by the calling thread alone (it may be a database cursor), which counts as well. One item that
fails stops no other.
"""

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from django.db import connections

from django_dcache.errors import DCacheError

from ..throttle import Throttle
from .counts import ItemCounts, reason
from .items import Item, NotStored, Outcome

TICK_SECONDS = 0.5
"""Between two ticks while nothing happens."""
MAX_RETRIED = 1000
"""Items that were not stored and are tried once more at the end."""
RETRY_SECONDS = 1.5
"""Before that: a slot that lost a write takes none for about as long."""


class WarmerFailed(DCacheError):
    """The warmer raised an error."""


class Work(NamedTuple):
    """An item, and its place in its warmer."""

    position: int
    item: Item


class Runner:
    """Warms items into `counts`. `tick` is called all the time; when it says False, no further item is begun."""

    def __init__(
        self,
        counts: ItemCounts,
        concurrency: int,
        rate: float | None = None,
        tick: Callable[[], bool] = lambda: True,
        retry_seconds: float = RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._counts, self._concurrency, self._tick, self._clock, self._sleep = counts, concurrency, tick, clock, sleep
        self._retry_seconds = retry_seconds
        self._throttle = Throttle(rate, 1.0, clock, self._rest)
        self._waiting: queue.Queue[Work | None] = queue.Queue(concurrency)
        self._done: queue.SimpleQueue[tuple[Work, str, Outcome | BaseException]] = queue.SimpleQueue()
        self._under_way: set[int] = set()
        self._again: list[tuple[Work, str, BaseException]] = []
        self._second = False
        self._next = counts.position

    def run(self, items: Iterable[Item], only: Collection[str] | None = None) -> bool:
        """Whether every item was dealt with, from `counts.position` on; with `only`, those of these names.

        False if `tick` stopped it. Raises WarmerFailed if `items` does, and what `tick` raises.
        """
        began, before = self._clock(), self._counts.seconds
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._concurrency)]
        for thread in threads:
            thread.start()
        try:
            complete = self._hand_out(items, only)
            self._dismiss()
            for thread in threads:
                while thread.is_alive():
                    thread.join(TICK_SECONDS)
                    self._turn()
        except BaseException:
            self._dismiss()
            raise
        finally:
            for thread in threads:
                thread.join()
            self._count()
            for _, name, error in self._again:
                self._counts.count(name, error)
            self._counts.seconds = before + self._clock() - began
        return complete

    def _hand_out(self, items: Iterable[Item], only: Collection[str] | None) -> bool:
        start, left = self._counts.position, None if only is None else len(only)
        for position, item in enumerate(_failing(items)):
            if not self._turn():
                return False
            wanted = only is None or item.name in only
            if left is not None:
                left -= wanted
            if position >= start:
                if wanted and not self._begin(Work(position, item)):
                    return False
                self._next = position + 1
            if left == 0:
                break
        if left:
            self._counts.notes.append(f"{left} of the items that were asked for are no longer yielded")
        return self._settle()

    def _begin(self, work: Work) -> bool:
        self._throttle.spend(1)
        self._under_way.add(work.position)
        while not self._put(work):
            if not self._turn():
                return False
        return True

    def _put(self, work: Work) -> bool:
        try:
            self._waiting.put(work, timeout=TICK_SECONDS)
        except queue.Full:
            return False
        return True

    def _settle(self) -> bool:
        """Wait for what was begun, and try once more what was not stored: nodes fail and are back, keys get deleted."""
        if not self._wait():
            return False
        if not self._again:
            return True
        self._second = True
        self._rest(self._retry_seconds)
        works, self._again = [work for work, *_ in self._again], []
        self._under_way.update(work.position for work in works)
        return all(map(self._begin, works)) and self._wait()

    def _wait(self) -> bool:
        while self._under_way:
            if not self._turn(TICK_SECONDS):
                return False
        return True

    def _dismiss(self) -> None:
        """Let the threads end. What was not begun stays to be done: it comes after all that was."""
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _ in range(self._concurrency):
            self._waiting.put(None)

    def _rest(self, seconds: float) -> None:
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._sleep(min(left, TICK_SECONDS))
            self._turn()

    def _turn(self, seconds: float = 0.0) -> bool:
        """Count what is done, after waiting for it this long; whether to continue."""
        self._count(seconds)
        return self._tick()

    def _count(self, seconds: float = 0.0) -> None:
        with suppress(queue.Empty):
            while True:
                work, name, outcome = self._done.get(seconds > 0, seconds)
                seconds = 0.0
                self._under_way.discard(work.position)
                if isinstance(outcome, NotStored) and not self._second and len(self._again) < MAX_RETRIED:
                    self._again.append((work, name, outcome))
                else:
                    self._counts.count(name, outcome)
        self._counts.position = min(self._under_way, default=self._next)

    def _work(self) -> None:
        """What each thread does."""
        try:
            while work := self._waiting.get():
                name = f"item {work.position}"
                outcome: Outcome | BaseException
                try:
                    name = work.item.name
                    outcome = work.item.warm()
                except BaseException as error:  # Whatever it is: a thread that dies would be waited for.
                    outcome = error
                self._done.put((work, name, outcome))
        finally:
            connections.close_all()


def _failing(items: Iterable[Item]) -> Iterator[Item]:
    """The items; what they raise becomes WarmerFailed."""
    try:
        yield from items
    except Exception as error:
        raise WarmerFailed(reason(error)) from error
