"""@cached: what functions, coroutine functions and methods return, under a lease, with tags."""

import asyncio
import itertools
import threading
from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from django.utils import translation

from django_dcache import decorators
from django_dcache.decorators import cached
from django_dcache.errors import ConfigurationError
from django_dcache.invalidation import delete, of_tags
from support.waiting import until

numbers = itertools.count()
get = RequestFactory().get
loads = []


@cached(0.2, stale=60, tags=["product:{pk}"], in_task=True)
def stock(pk, shop="main"):
    """What a worker loads anew."""
    loads.append((pk, shop))
    return len(loads)


@pytest.fixture
def told(monkeypatch):
    """What workers are told."""
    told = []
    monkeypatch.setattr(decorators, "_send", lambda *message: told.append(message) or True)
    return told


@pytest.fixture
def stale(cache):
    """What `stock` has returned for 7 is stale."""
    loads.clear()
    assert stock(7) == 1
    assert until(lambda: cache.get(stock.key_of(7)) is None)


def test_a_worker_loads_what_is_stale(told, stale):
    """One reader tells a worker, none waits, and what the worker loads is what the next ones get."""
    name = f"{__name__}:stock"
    assert [stock(7), stock(7), stock(7)] == [1, 1, 1] and told == [(name, [7], {})]
    assert decorators.renew(*told[0]) and loads == [(7, "main")] * 2 and stock(7) == 2
    assert decorators.renew(*told[0]) and stock(7) == 2


def test_a_worker_that_comes_late(told, stale):
    """A worker that has loaded when the value is invalidated meanwhile does not bring it back."""
    assert stock(7) == 1
    invalidate("product:7")
    assert stock(7) == 2 and decorators.renew(*told[0]) and stock(7) == 2


def test_no_worker_is_told(monkeypatch, stale, caplog):
    """Where the broker takes no message, or fails, the reader loads."""
    monkeypatch.setattr(decorators, "_send", lambda *message: False)
    assert stock(7) == 2
    monkeypatch.setattr(decorators, "_send", lambda *message: 1 / 0)
    assert until(lambda: stock(7) > 2) and "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        ("os:system", ["true"], {}),
        ("antigravity:fly", [], {}),
        (f"{__name__}:loads", [], {}),
        (f"{__name__}:stock", [], {}),
        (f"{__name__}:stock", [[7]], {}),
        (f"{__name__}:stock", [7], {"warehouse": 1}),
    ],
)
def test_messages_that_no_reader_sends(message, cache):
    """A message calls nothing but functions that are declared so, with arguments that they take."""
    loads.clear()
    assert not decorators.renew(*message) and not loads


def test_what_no_worker_can_call():
    """Coroutine functions, and functions within others, are refused where they are declared."""
    with pytest.raises(ConfigurationError, match="in_task"):
        cached(60, in_task=True)(lambda: 1)


def invalidate(*tags):
    assert not delete(of_tags("default", tags))


def test_a_function():
    """What a function returned for its arguments is returned again, however they are given, until it is invalidated."""
    calls = []

    @cached(60, tags=["product:{pk}"])
    def price(pk, currency="EUR"):
        calls.append((pk, currency))
        return len(calls)

    assert [price(7), price(pk=7), price(7, "EUR"), price(7, "USD"), price(8)] == [1, 1, 1, 2, 3]
    price.invalidate(7)
    assert [price(7), price(7, "USD")] == [4, 2]
    invalidate("product:7")
    assert [price(7), price(7, "USD"), price(8)] == [5, 6, 3]
    assert price.refresh(8) == 7 == price(8) and price.__name__ == "price"


def test_a_coroutine_function():
    """A coroutine function is awaited, and so is its refresh."""
    calls = []

    @cached(60, tags=lambda pk: [f"product:{pk}"], key="price:{pk}")
    async def price(pk):
        calls.append(pk)
        return len(calls)

    async def visit():
        assert [await price(7), await price(7)] == [1, 1]
        await price.ainvalidate(7)
        assert await price(7) == 2 and await price.refresh(7) == 3 == await price(7)

    asyncio.run(visit())
    assert asyncio.iscoroutinefunction(price.__wrapped__)


def test_a_method():
    """A method is cached for each object, told apart by what the key says of it."""

    class Shop:
        def __init__(self, pk):
            self.pk, self.calls = pk, 0

        @cached(60, key="shop:{self.pk}:{day}")
        def sales(self, day):
            self.calls += 1
            return self.calls

    one, other = Shop(1), Shop(2)
    assert [one.sales("mon"), one.sales("mon"), other.sales("mon"), one.sales("tue")] == [1, 1, 1, 2]
    one.sales.invalidate("mon")
    assert one.sales("mon") == 3 and other.sales("mon") == 1 and Shop.sales(one, "mon") == 3


def test_what_it_varies_on():
    """A result differs by language where the decorator says so, and by what a function says."""
    theme = SimpleNamespace(name="dark")

    @cached(60, vary=["language", lambda: theme.name])
    def title():
        return f"{translation.get_language()} {theme.name}"

    with translation.override("de"):
        assert title() == "de dark"
        theme.name = "light"
        assert title() == "de light"
    with translation.override("en"):
        assert title() == "en light"


def test_arguments_that_tell_nothing():
    """An argument that no process can tell from another of its kind is an error that says what to do."""

    @cached(60)
    def price(product, **options):
        return 1

    with pytest.raises(TypeError, match="argument 'product' is a object.*key="):
        price(object())
    assert price([1, {"a": {2, 3}}], x=None) == 1
    with pytest.raises(ConfigurationError, match="vary has 'colour'"):
        cached(60, vary=["colour"])
    with pytest.raises(ConfigurationError, match="lists"):
        cached(60, tags="product")


def test_a_stale_result():
    """With `stale` a result that has passed its timeout is served while one caller makes another one."""
    calls, go_on, inside = [], threading.Event(), threading.Event()

    @cached(0.2, stale=60)
    def price():
        calls.append(1)
        if len(calls) > 1:
            inside.set()
            go_on.wait(30)
        return len(calls)

    assert price() == 1
    renewed = []
    begun = threading.Thread(target=lambda: until(lambda: renewed.append(price()) or renewed[-1] == 2))
    begun.start()
    assert inside.wait(30) and price() == 1
    go_on.set()
    begun.join()
    assert len(calls) == 2
