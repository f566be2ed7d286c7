"""Measuring every call: the methods of DistributedCache are replaced by ones that count what happened.

A call only adds to sums, which takes less than a microsecond; about once a second they are handed on. Additions take
no lock: a thread that loses its turn within one may cost a count, and no more than that.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sized
from functools import wraps
from time import perf_counter
from typing import Any, NamedTuple

from ..backend import DistributedCache
from ..methods import NearMethods
from ..runtime.fleet import Fleet
from ..transport import forks

BOUNDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the histograms, in seconds: from what a node on the same machine takes to several timeouts."""
HAND_ON_SECONDS = 1.0
ABSENT = object()
Judged = tuple[str, int, int]
"""(outcome, keys found, keys missed)"""


def _whether(done: bool, count: int) -> Judged:
    return "ok" if done else "no", 0, 0


def _done(result: Any, count: int) -> Judged:
    return "ok", 0, 0


METHODS: dict[str, Callable[[Any, int], Judged]] = {
    **dict.fromkeys(("set", "add", "touch", "delete", "clear"), _whether),
    **dict.fromkeys(("incr", "incr_version", "get_or_set", "delete_many"), _done),
    "set_many": lambda failed, count: ("no" if failed else "ok", 0, 0),
    "get_many": lambda found, count: ("ok", len(found), max(0, count - len(found))),
}
"""What a result comes to, for this number of keys. `get` apart, which has to be quick."""
MANY = ("get_many", "set_many", "delete_many")


class Sum(NamedTuple):
    """Of all calls of an operation on a fleet that had the same outcome, or of those since the last look."""

    buckets: list[int]
    """How many took up to each of BOUNDS and more than the one before; the last: more than all."""
    totals: list[float]
    """Seconds, keys found, keys missed."""


class Sums(dict[Fleet, Sum]):
    """By fleet."""

    def __missing__(self, fleet: Fleet) -> Sum:
        return self.setdefault(fleet, Sum([0] * (len(BOUNDS) + 1), [0.0, 0, 0]))


class Recorder:
    """Counts calls. `sink` is told what there was since the last time: with a call once a second, or when asked to."""

    def __init__(self, sink: Callable[[Iterable[tuple[str, str, str, Sum]]], None]):
        self._sink = sink
        self._sums: dict[tuple[str, str], Sums] = {}
        self._told: dict[tuple[str, str], Sums] = {}
        self.due = 0.0
        """When they are to be handed on, by `perf_counter`."""
        self._lock = threading.Lock()  # held by the one that hands on

    def sums(self, operation: str, outcome: str) -> Sums:
        return self._sums.setdefault((operation, outcome), Sums())

    def hand_on(self, now: float | None = None) -> None:
        """With `now`, only if no other thread is at it."""
        if not self._lock.acquire(blocking=now is None):
            return
        try:
            self.due = (perf_counter() if now is None else now) + HAND_ON_SECONDS
            self._sink(self._new())
        finally:
            self._lock.release()

    def _new(self) -> Iterable[tuple[str, str, str, Sum]]:
        """(fleet, operation, outcome, sum) of what was not told yet."""
        for (operation, outcome), sums in list(self._sums.items()):
            told = self._told.setdefault((operation, outcome), Sums())
            for fleet, one in list(sums.items()):
                now, before = Sum(one.buckets[:], one.totals[:]), told[fleet]
                told[fleet] = now
                new = Sum(_minus(now.buckets, before.buckets), _minus(now.totals, before.totals))
                yield fleet.configuration.fleet, operation, outcome, new

    def after_fork(self) -> None:
        """In a child: what was counted is the parent's to tell."""
        self._lock = threading.Lock()
        for _ in self._new():
            pass


def _minus(numbers: list[Any], others: list[Any]) -> list[Any]:
    return [one - other for one, other in zip(numbers, others, strict=True)]


def install(recorder: Recorder) -> None:
    """Count the calls of every cache of this process from now on. What calls another method is counted there: `has_key`
    as a `get`, `decr` as an `incr`, and so is, but for asyncio, `get_many` or `set_many` of a single key."""
    for cache, names in measured(METHODS):
        cache.get = _get(cache.get, recorder)
        cache.aget = _aget(cache.aget, recorder)
        for name in names:
            setattr(cache, name, _method(name, getattr(cache, name), recorder))
            setattr(cache, f"a{name}", _async_method(name, getattr(cache, f"a{name}"), recorder))
    forks.in_child(recorder.after_fork)


def measured(methods: Iterable[str]) -> list[tuple[Any, Iterable[str]]]:
    """The classes whose methods are replaced, and which: what a near cache writes it leaves to the class below."""
    return [(DistributedCache, methods), (NearMethods, ("get_many", "get_or_set"))]


def _get(original: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    hits, misses, errors = (recorder.sums("get", outcome) for outcome in ("hit", "miss", "error"))

    @wraps(original)
    def get(self: DistributedCache, key: Any, default: Any = None, version: int | None = None, **named: Any) -> Any:
        began, sums = perf_counter(), errors
        try:
            value = original(self, key, ABSENT, version, **named)
            if value is ABSENT:
                sums = misses
                return default
            sums = hits
            return value
        finally:
            ended = perf_counter()
            one, seconds = sums[self.fleet], ended - began
            one.buckets[bisect_left(BOUNDS, seconds)] += 1
            one.totals[0] += seconds
            if ended > recorder.due:
                recorder.hand_on(ended)

    return get


def _aget(original: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @wraps(original)
    async def aget(
        self: DistributedCache, key: Any, default: Any = None, version: int | None = None, **named: Any
    ) -> Any:
        began, outcome = perf_counter(), "error"
        try:
            value = await original(self, key, ABSENT, version, **named)
            outcome = "miss" if value is ABSENT else "hit"
            return default if value is ABSENT else value
        finally:
            _count(recorder, self.fleet, "get", (outcome, 0, 0), began)

    return aget


def _method(name: str, original: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @wraps(original)
    def method(self: DistributedCache, *arguments: Any, **named: Any) -> Any:
        began, judged = perf_counter(), ("error", 0, 0)
        arguments, count = sized(arguments, named) if name in MANY else (arguments, 0)
        if count == 1 and name != "delete_many":
            return original(self, *arguments, **named)  # Which calls the method for one key.
        try:
            result = original(self, *arguments, **named)
            judged = METHODS[name](result, count)
            return result
        finally:
            _count(recorder, self.fleet, name, judged, began)

    return method


def _async_method(name: str, original: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @wraps(original)
    async def method(self: DistributedCache, *arguments: Any, **named: Any) -> Any:
        began, judged = perf_counter(), ("error", 0, 0)
        arguments, count = sized(arguments, named) if name in MANY else (arguments, 0)
        try:
            result = await original(self, *arguments, **named)
            judged = METHODS[name](result, count)
            return result
        finally:
            _count(recorder, self.fleet, name, judged, began)

    return method


def sized(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], int]:
    """The same arguments, and of how many keys they are."""
    if arguments and not isinstance(arguments[0], Sized):
        arguments = (list(arguments[0]), *arguments[1:])
    first = arguments[0] if arguments else named.get("keys", named.get("data", ()))
    return arguments, len(first) if isinstance(first, Sized) else 0


def _count(recorder: Recorder, fleet: Fleet, operation: str, judged: Judged, began: float) -> None:
    outcome, found, missed = judged
    ended = perf_counter()
    one, seconds = recorder.sums(operation, outcome)[fleet], ended - began
    one.buckets[bisect_left(BOUNDS, seconds)] += 1
    one.totals[0] += seconds
    one.totals[1] += found
    one.totals[2] += missed
    if ended > recorder.due:
        recorder.hand_on(ended)
