"""One process of a load: it writes its own keys, reads and counts them all, and compares with the truth."""

import random
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Any

from support.load.findings import Findings
from support.load.truth import ABSENT, LIFE, NEVER, Look, Truth, Wrong, counter_name, key_name, value, version_of

BUCKET = 0.5
"""Seconds over which the hit ratio is taken."""
TIMEOUTS = (None, None, 20, 60, 300, 3600, 40 * 86400)
BATCH = 50
PATIENCE = 5.0
"""Seconds for which a counter that is behind is watched."""


class Worker:
    """One process's part: it writes the keys that are its own, and reads and counts them all."""

    def __init__(self, cache: Any, truth: Truth, number: int, chance: random.Random, rebirth: Any):
        self.cache, self.truth, self.number, self.random, self.rebirth = cache, truth, number, chance, rebirth
        self.findings = Findings()
        self._before = 0
        actions: dict[Callable[[], None], int] = {
            self.get: 50,
            self.get_many: 4,
            self.set: 16,
            self.set_many: 1,
            self.delete: 3,
            self.add: 3,
            self.touch: 3,
            self.incr: 16,
            self.get_counter: 4,
        }
        self._actions, self._weights = list(actions), list(actions.values())

    def step(self) -> None:
        """A hundred operations, no exception among them."""
        for action in self.random.choices(self._actions, self._weights, k=100):
            self._before = self._unanswered
            try:
                action()
            except Wrong as wrong:
                self.findings.note("wrong value", str(wrong))
            except Exception:
                self.findings.note("exception", traceback.format_exc())
            self.findings.events[f"{action.__name__} calls"] += 1
            self.findings.events["withheld"] += self._withheld
            self.findings.bumps.see(self.cache.fleet.view.state)

    def plant(self) -> None:
        """Every key of ours, and every counter of ours."""
        self.cache.get("nothing")  # The first call takes seconds on a busy machine, and TTLs are counted from now on.
        own = range(self.number, self.truth.keys, self.truth.processes)
        for start in range(0, len(own), BATCH):
            self._set_many(own[start : start + BATCH])
        for counter in range(self.number, self.truth.counters, self.truth.processes):
            self.cache.set(counter_name(counter), 0, None if counter % 2 else 3600)

    # Reading

    def _any(self) -> int:
        """A key: every second time one of the hot tenth."""
        return self.random.randrange(self.truth.keys // self.random.choice((1, 10)))

    def get(self) -> None:
        key = self._any()
        began, before = monotonic(), self.truth.look(key)
        self._judge(key, began, before, self.cache.get(key_name(key)))

    def get_many(self) -> None:
        keys = {self._any() for _ in range(20)}
        began, before = monotonic(), {key: self.truth.look(key) for key in keys}
        found = self.cache.get_many([key_name(key) for key in keys])
        for key in keys:
            self._judge(key, began, before[key], found.get(key_name(key)))

    def _judge(self, key: int, began: float, before: Look, found: Any) -> None:
        now = monotonic()
        sure = before.certain(now) if self.truth.look(key) == before else None
        bucket = int(now / BUCKET)
        if sure:
            self.findings.reads[bucket] += 1
        if found is None:
            if sure and self._withheld:
                self.findings.events["withheld reads"] += 1
            elif sure and not self._forgotten(key_name(key)):
                self.findings.lost[bucket] += 1
                self.findings.note("lost", f"{key_name(key)} at {now:.3f}")
            return
        version = version_of(key, found)
        lag = self.truth.lag(key, version, began)
        if lag > 0:
            self.findings.worst_lag = max(self.findings.worst_lag, lag)
            self.findings.note("stale", f"{key_name(key)} version {version} is {lag:.6f} s behind, at {now:.3f}")
        elif sure is False:
            self.findings.note("undead", f"{key_name(key)} version {version} at {now:.3f}, expired {before.expires}")

    def _forgotten(self, key: str) -> bool:
        """Whether a lost reply has cost the key its slot, on whatever node it was then: it may be gone."""
        view = self.cache.fleet.proven_view()
        _, slot = view.place(self.cache.make_key(key).encode())
        self.findings.bumps.see(view.state)
        if forgotten := self.findings.bumps.of(slot):
            self.findings.events["forgotten"] += 1
        return forgotten

    # Writing

    def _own(self) -> int:
        own = self.truth.keys // self.truth.processes
        return self.random.randrange(own) * self.truth.processes + self.number

    def _expiry(self, timeout: int | None, now: float) -> float:
        return NEVER if timeout is None else now + timeout

    def set(self) -> None:
        key, timeout = self._own(), self.random.choice(TIMEOUTS)
        version, now = self.truth.begin(key), monotonic()
        if self.cache.set(key_name(key), value(key, version), timeout) is not False:
            self.truth.acknowledge(key, monotonic(), self._expiry(timeout, now), version)
        else:
            self.findings.events["refused sets"] += 1

    def set_many(self) -> None:
        self._set_many({self._own() for _ in range(20)})

    def _set_many(self, keys: Any) -> None:
        timeout = self.random.choice(TIMEOUTS)
        versions, now = {key: self.truth.begin(key) for key in keys}, monotonic()
        failed = self.cache.set_many({key_name(key): value(key, version) for key, version in versions.items()}, timeout)
        self.findings.events["refused sets"] += len(failed)
        for key, version in versions.items():
            if key_name(key) not in failed:
                self.truth.acknowledge(key, monotonic(), self._expiry(timeout, now), version)

    def delete(self) -> None:
        key = self._own()
        before, version, failures = self.truth.look(key), self.truth.begin(key), self._failures
        existed = self.cache.delete(key_name(key))
        now = monotonic()
        if self._failures == failures:
            self._compare("delete", key, existed, before.certain(now))
            self.truth.acknowledge(key, now, ABSENT, version)

    @property
    def _withheld(self) -> bool:
        """Whether the call under way had no answer, or none that could be proven: a miss of a machine that is busy. Of
        misses alone the fleet does not say the latter."""
        return self._unanswered > self._before or not self.cache.fleet.proven

    @property
    def _unanswered(self) -> int:
        return self._failures + int(self.cache.fleet.counters["unproven_misses"])

    @property
    def _failures(self) -> int:
        """Operations that failed. `get` and `delete` can't say so themselves: there may have been nothing."""
        return int(self.cache.fleet.counters["failures"])

    def add(self) -> None:
        key, timeout = self._own(), self.random.choice(TIMEOUTS)
        before, version, began = self.truth.look(key), self.truth.begin(key), monotonic()
        added = self.cache.add(key_name(key), value(key, version), timeout)
        now, sure = monotonic(), before.certain(monotonic())
        self._compare("add", key, not added, sure)
        if added:
            self.truth.acknowledge(key, now, self._expiry(timeout, began), version)
        elif sure:
            self.truth.acknowledge(key, now)

    def touch(self) -> None:
        key, timeout = self._own(), self.random.choice(TIMEOUTS)
        before, _, began = self.truth.look(key), self.truth.begin(key), monotonic()
        touched = self.cache.touch(key_name(key), timeout)
        now, sure = monotonic(), before.certain(monotonic())
        self._compare("touch", key, touched, sure)
        if touched and before.started == before.finished:  # Else nobody knows what it is that has a new TTL.
            self.truth.acknowledge(key, now, self._expiry(timeout, began))

    def _compare(self, what: str, key: int, there: bool, sure: bool | None) -> None:
        if there and sure is False:
            self.findings.note(f"{what} found something", f"{key_name(key)} at {monotonic():.3f}")
        elif sure and not there and not self._withheld and not self._forgotten(key_name(key)):
            self.findings.note(f"{what} found nothing", f"{key_name(key)} at {monotonic():.3f}")

    # Counting

    def incr(self) -> None:
        counter = self.random.randrange(self.truth.counters)
        floor = self.truth.seen(counter)
        self.truth.count(counter, self.number)
        try:
            number = self.cache.incr(counter_name(counter))
        except ValueError:
            if not self._withheld and not self._forgotten(counter_name(counter)):
                self.findings.note("counter lost", f"{counter_name(counter)} at {monotonic():.3f}")
            self._revive(counter)
            return
        self._check(counter, number, floor + 1)
        self.findings.numbers[counter].append(number)
        self.truth.saw(counter, self.number, number)

    def get_counter(self) -> None:
        counter = self.random.randrange(self.truth.counters)
        floor = self.truth.seen(counter)
        number = self.cache.get(counter_name(counter))
        if number is None:
            self.findings.events["counter missed"] += 1
            return
        if number < floor:
            self.findings.note("counter behind", f"{counter_name(counter)} is {number}, want at least {floor}")
            self._catch_up(counter, floor)
        self._check(counter, number, 0)

    def _catch_up(self, counter: int, floor: int) -> None:
        """See for how long a counter goes on being behind."""
        began = monotonic()
        while monotonic() - began < PATIENCE:
            number = self.cache.get(counter_name(counter))
            if number is None or number >= floor:
                break
        self.findings.counter_lag = max(self.findings.counter_lag, monotonic() - began)

    def _check(self, counter: int, number: int, floor: int) -> None:
        if number < floor:
            self.findings.note("counter backwards", f"{counter_name(counter)} is {number}, want at least {floor}")
        if number > self.truth.highest(counter):
            self.findings.note("counter too high", f"{counter_name(counter)} is {number}")

    def _revive(self, counter: int) -> None:
        """A counter was lost, and begins its next life above everything it ever was."""
        with self.rebirth:
            if self.cache.get(counter_name(counter)) is None:
                self.truth.lives[counter] += 1
                # Those under way may count in the new life.
                self.truth.born[counter] = self.truth.counted(counter) - self.truth.processes
                self.cache.set(counter_name(counter), self.truth.lives[counter] * LIFE, None if counter % 2 else 3600)
