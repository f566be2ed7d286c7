"""Warmers: how they are registered, and how their items are run."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import BaseCache
from django.test import override_settings

from dcache_manager.warming import Entry, View, registry
from dcache_manager.warming.counts import MAX_FAILURES, ItemCounts
from dcache_manager.warming.items import Item, NotStored, Outcome
from dcache_manager.warming.registry import find, warmer, warmers
from dcache_manager.warming.runner import Runner, WarmerFailed
from django_dcache.errors import ConfigurationError
from django_dcache.testing import ManualClock


@dataclass
class Task(Item):
    """An item that does as it is told."""

    number: int
    act: Any = lambda: Outcome.LOADED

    @property
    def name(self) -> str:
        return f"k{self.number}"

    def warm(self) -> Outcome:
        outcome: Outcome = self.act()
        return outcome

    def made_key(self, cache: BaseCache) -> str | None:
        return None


def fail(kind: type[Exception] = LookupError) -> Outcome:
    raise kind("no such row")


@pytest.fixture
def empty() -> Iterator[None]:
    """No warmer is registered."""
    before = dict(registry._warmers)
    registry._warmers.clear()
    yield
    registry._warmers.clear()
    registry._warmers.update(before)


# Running


def test_failures_stop_nobody() -> None:
    """An item that fails is listed with the reason, and the others are warmed."""
    tally = ItemCounts()
    items = [Task(number, fail if number % 3 == 0 else Task.act) for number in range(10)]
    assert Runner(tally, 3).run(items)
    assert (tally.loaded, tally.failed, tally.position) == (6, 4, 10)
    assert tally.failures == dict.fromkeys(["k0", "k3", "k6", "k9"], "LookupError: no such row")


def test_many_failures() -> None:
    """However many fail, the reasons that are kept are bounded, and all are counted."""
    tally = ItemCounts(failed=MAX_FAILURES - 1)
    Runner(tally, 1).run([Task(number, fail) for number in range(3)])
    assert tally.failed == MAX_FAILURES + 2 and len(tally.failures) == 1


def test_a_generator_is_not_drained_ahead() -> None:
    """While the items under way take their time, no more are taken from the generator than threads and queue hold."""
    go_on, taken = threading.Event(), 0

    def wait() -> Outcome:
        assert go_on.wait(60)
        return Outcome.LOADED

    def items() -> Iterator[Item]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Task(number, wait)

    tally = ItemCounts()
    run = threading.Thread(target=lambda: Runner(tally, 2, tick=tick).run(items()))
    ticks = 0
    waited = threading.Event()

    def tick() -> bool:
        nonlocal ticks
        ticks += 1
        if ticks > 6:  # More turns than there can be items: it is waiting for room.
            waited.set()
        return True

    run.start()
    assert waited.wait(60)
    assert taken <= 6
    go_on.set()
    run.join()
    assert tally.loaded == 1000


def test_rate() -> None:
    """No more items are begun than the rate allows."""
    clock = ManualClock()
    runner = Runner(ItemCounts(), 4, rate=10, clock=clock, sleep=clock.advance)  # type: ignore[arg-type]
    began = clock.now
    runner.run([Task(number) for number in range(21)])
    assert round(clock.now - began, 6) == 2.0


@pytest.mark.parametrize("stop_at", range(1, 12, 3))
def test_goes_on_where_it_stopped(stop_at: int) -> None:
    """Stopped after any turn, it has finished all items before its position and none after it; the next one goes on."""
    done: list[int] = []

    def act(number: int) -> Outcome:
        done.append(number)
        return Outcome.LOADED

    def items() -> list[Task]:
        return [Task(number, lambda number=number: act(number)) for number in range(10)]

    turns = iter([True] * stop_at)
    tally = ItemCounts()
    complete = Runner(tally, 2, tick=lambda: next(turns, False)).run(items())
    assert sorted(done) == list(range(tally.position)) and complete is (tally.position == 10 and stop_at > 10)
    assert Runner(tally, 2).run(items())
    assert sorted(done) == list(range(10)) and tally.loaded == 10


def test_not_stored() -> None:
    """What was not stored is tried once more after a while; stopped before that, it counts as failed."""
    tries = iter([NotStored("a"), NotStored("b"), Outcome.LOADED, NotStored("c")])

    def act() -> Outcome:
        outcome = next(tries)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    clock, tally = ManualClock(), ItemCounts()
    began = clock.now
    Runner(tally, 1, retry_seconds=5.0, clock=clock, sleep=clock.advance).run(  # type: ignore[arg-type]
        [Task(0, act), Task(1, act), Task(2)]
    )
    assert (tally.loaded, tally.failed, clock.now - began) == (2, 1, 5.0) and list(tally.failures) == ["k1"]
    stopped = ItemCounts()
    turns = iter([True])
    Runner(stopped, 1, tick=lambda: next(turns, False)).run([Task(0, lambda: fail(NotStored))])
    assert (stopped.failed, stopped.position) == (1, 1)


def test_only_some() -> None:
    """With names only these items are warmed, and those that are gone are told of."""
    tally = ItemCounts()
    assert Runner(tally, 2).run([Task(number) for number in range(9)], only={"k2", "k5", "gone"})
    assert tally.loaded == 2 and "1 of the items" in tally.notes[0]


def test_a_generator_that_fails() -> None:
    """A warmer that fails itself is told apart from items that do; what it had yielded is warmed."""

    def items() -> Iterator[Item]:
        yield Task(0)
        raise LookupError("no such table")

    tally = ItemCounts()
    with pytest.raises(WarmerFailed, match="no such table"):
        Runner(tally, 1).run(items())
    assert tally.position in (0, 1) and tally.position == tally.loaded


# Registering


def test_pairs_become_entries(empty: None) -> None:
    """A pair takes timeout, version and alias from its warmer, an Entry only what it does not say itself."""

    @warmer("a", timeout=60, version=2)
    def function() -> Iterator[Any]:
        yield "x", 1
        yield Entry("y", 1, timeout=5)

    pair, entry = find("a").items()
    assert isinstance(pair, Entry) and (pair.timeout, pair.version, pair.name) == (60, 2, ":2:x")
    assert isinstance(entry, Entry) and (entry.timeout, entry.version) == (5, 2)


def test_tags(empty: None) -> None:
    """Warmers are found by any of their tags."""
    for name, tags in {"a": ["catalog"], "b": ["catalog", "users"], "c": []}.items():
        warmer(name, depends_on_tags=tags)(lambda: [])
    assert [found.name for found in warmers(["users", "other"])] == ["b"]
    assert [found.name for found in warmers()] == ["a", "b", "c"]


def test_mistakes(empty: None) -> None:
    """What can't be meant is an error that says what is wrong."""
    with pytest.raises(ConfigurationError, match="is a string"):
        warmer("a", depends_on_tags="catalog")
    with pytest.raises(ConfigurationError, match="every is 0"):
        warmer("a", every=0)

    @warmer("products")
    def function() -> Iterator[Any]:
        yield "just a key"

    with pytest.raises(ConfigurationError, match="two warmers 'products'"):
        warmer("products")(test_tags)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="did you mean 'products'"):
        find("product")
    with pytest.raises(ConfigurationError, match="yields a str"):
        list(find("products").items())


@override_settings(ALLOWED_HOSTS=[".example.com", "shop.example.com"], SECURE_SSL_REDIRECT=True)
def test_which_page() -> None:
    """A page is that of the first exact host in ALLOWED_HOSTS, over HTTPS where the site insists on it."""
    assert View("/a").name == "https://shop.example.com/a"
    request = View("/a", host="x.example.com:8000", secure=False, headers={"Accept-Language": "de"}).request()
    assert request.META["HTTP_HOST"] == "x.example.com:8000" and request.META["HTTP_ACCEPT_LANGUAGE"] == "de"
    assert request.scheme == "http"
    with override_settings(ALLOWED_HOSTS=["*"]), pytest.raises(ConfigurationError, match="needs host="):
        View("/a").warm()
