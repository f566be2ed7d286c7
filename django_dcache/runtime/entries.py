"""What was read a moment ago and may be served again without asking a node: the rules that every such memory keeps.

An entry is served while the request that read it was *sent* within `freshness`, while the view is proven, and while the
plans that it was read by are those of now: a bump, an invalidation or a resize that this process has heard of ends all
entries. So what is served lags a write as far as what a node is asked for may lag it, and no further. There is no
channel and no thread, and so no message that can get lost (docs/explanation/near.md).

Own writes drop an entry before they are sent and after they are answered, and what was asked for before the answer does
not come in.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ..transport import forks
from .plans import Plans

NEVER = float("inf")


class Entry:
    """One value. `decoded`: it is kept as it is, since nothing can change it; else as bytes."""

    __slots__ = ("value", "flags", "decoded", "plans", "ends", "renew_at", "used")

    def __init__(self, value: Any, flags: int, decoded: bool, plans: Plans, ends: float, renew_at: float = NEVER):
        self.value, self.flags, self.decoded = value, flags, decoded
        self.plans, self.ends, self.renew_at = plans, ends, renew_at
        self.used = False

    def proven(self, now: float, plans: Plans, proven_until: float) -> bool:
        """Whether it may be served."""
        return now < self.ends and now < proven_until and self.plans is plans


class Entries:
    """A memory, and what its owner has written. Safe under threads."""

    def __init__(self, freshness: float, clock: Callable[[], float]):
        self._freshness, self._clock = freshness, clock
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._writers: dict[str, int] = {}
        self._written: dict[str, float] = {}
        self._written_before: dict[str, float] = {}
        self._forget_at = self._cleared_at = float("-inf")

    def _drop(self, made_key: str) -> None:
        raise NotImplementedError

    def _drop_all(self) -> None:
        raise NotImplementedError

    def _late(self, began: float, plans: Plans) -> bool:
        """Whether what was asked for then is not worth it, or must not be served."""
        return not plans.stable or self._clock() - began > self._freshness / 2

    def _overwritten(self, made_key: str, began: float) -> bool:
        """Whether what was asked for then may be from before a write. Held: the lock."""
        written = self._written.get(made_key) or self._written_before.get(made_key)
        return made_key in self._writers or bool(written and began <= written) or began <= self._cleared_at

    @contextmanager
    def writing(self, made_keys: Collection[str]) -> Iterator[None]:
        """While these are written: what was read before they were answered is not taken in."""
        forks.look()  # Nothing else has looked yet, and a lock that a thread of the parent held is held for ever.
        with self._lock:
            for made_key in made_keys:
                self._writers[made_key] = self._writers.get(made_key, 0) + 1
                self._drop(made_key)
        try:
            yield
        finally:
            now = self._clock()
            with self._lock:
                if now >= self._forget_at:  # A read that may still be taken in began after the time before this one.
                    self._written_before, self._written = self._written, {}
                    self._forget_at = now + self._freshness / 2
                for made_key in made_keys:
                    # None are known in a child that was forked meanwhile.
                    others = self._writers.pop(made_key, 1) - 1
                    if others:
                        self._writers[made_key] = others
                    self._written[made_key] = now
                    self._drop(made_key)

    @contextmanager
    def clearing(self) -> Iterator[None]:
        """The same, while all keys are removed."""
        forks.look()
        self._clear(NEVER)
        try:
            yield
        finally:
            self._clear(self._clock())

    def _clear(self, at: float) -> None:
        with self._lock:
            self._cleared_at = at
            self._drop_all()
