"""The log of invalidations and what one region makes of it, on real nodes and a real database."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.core.cache import cache
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from dcache_manager.invalidation import log as invalidation
from dcache_manager.invalidation.prefix_sweep import sweep
from dcache_manager.models import Acknowledgement, Invalidation
from dcache_manager.settings import Regions
from django_dcache import invalidate
from django_dcache.errors import ConfigurationError
from django_dcache.flows.consensus import agree
from django_dcache.invalidation import of_prefix
from django_dcache.model.state import MAX_PREFIXES, prefix_slot
from django_dcache.testing import LocalFleet
from support.waiting import until

HERE = Regions("eu", ("eu", "us"))
LONG = "book:" + "x" * 236

pytestmark = pytest.mark.usefixtures("tables", "eager")


@pytest.fixture
def eager() -> None:
    """Tasks run where they are sent."""
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)


@pytest.fixture
def nodes(fleet: Callable[..., LocalFleet]) -> Iterator[LocalFleet]:
    """Two nodes behind the alias "default" of region eu."""
    nodes = fleet(2)
    entry: dict[str, Any] = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses}
    entry["OPTIONS"] = {"freshness": 0.2, "timeout": 10.0, "connect_timeout": 10.0, "prefixes": ["page:"]}
    with override_settings(CACHES={"default": entry}, DCACHE={"REGION": "eu", "REGIONS": ["eu", "us"]}):
        yield nodes


def log(kind: str = "keys", made: str = ":1:a", **fields: Any) -> int:
    """Write an entry that comes from the other region; its number."""
    return Invalidation.objects.create(region="us", kind=kind, made=[made], **{"alias": "default"} | fields).pk


def applied(number: int, region: str = "eu") -> bool:
    return Acknowledgement.objects.filter(invalidation=number, region=region, applied__isnull=False).exists()


def test_waits_for_the_commit(nodes: LocalFleet) -> None:
    """Within a transaction nothing is deleted before its commit, and after a rollback nothing is, nor logged."""
    cache.set("a", 1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        invalidate(["a"])
        assert 1 / 0
    assert cache.get("a") == 1 and not Invalidation.objects.exists()
    with transaction.atomic():
        invalidate(["a"])
        assert cache.get("a") == 1 and Invalidation.objects.exists()
    assert cache.get("a") is None and applied(Invalidation.objects.get().pk)


def test_tags(nodes: LocalFleet) -> None:
    """A tag goes into the log as a key does, is applied here at once, and from another region's entry as well."""
    cache.set_many({"a": 1, "b": 2}, tags=["product:7"])
    cache.set("c", 3, tags=["product:8"])
    invalidate(tags=["product:7"])
    entry = Invalidation.objects.get()
    assert entry.kind == "tags" and applied(entry.pk) and cache.get_many("abc") == {"c": 3}
    number = log("tags", "product:8")
    invalidation.catch_up(HERE)
    assert applied(number) and cache.get("c") is None


def test_late_commit(nodes: LocalFleet) -> None:
    """An entry that becomes visible after one with a higher number was applied is applied all the same."""
    second = log(pk=2)
    invalidation.catch_up(HERE)
    cache.set("a", 1)
    first = log(pk=1)
    invalidation.catch_up(HERE)
    assert applied(first) and applied(second) and cache.get("a") is None


def test_many_missed(nodes: LocalFleet) -> None:
    """After an outage a thousand entries are applied in a few queries."""
    cache.set_many({f"k{number}": 1 for number in range(1000)})
    Invalidation.objects.bulk_create(
        Invalidation(region="us", alias="default", kind="keys", made=[f":1:k{number}"]) for number in range(1000)
    )
    with CaptureQueriesContext(connection) as queries:
        assert invalidation.catch_up(HERE) == 1000
    assert len(queries) < 20 and invalidation.catch_up(HERE) == 0
    assert not cache.get_many(f"k{number}" for number in range(1000))


def test_one_bad_entry(nodes: LocalFleet) -> None:
    """An entry for an alias that this region lacks stays in the log and stops no other."""
    bad, good = log(alias="nowhere"), log()
    invalidation.catch_up(HERE)
    assert applied(good) and not applied(bad)


def test_no_false_acknowledgement(nodes: LocalFleet) -> None:
    """While nobody can be told of a delete it is not acknowledged; when the nodes are back, it is."""
    cache.set("a", 1)
    for node in nodes.nodes:
        node.kill()
    invalidate(["a"])
    number = Invalidation.objects.get().pk
    assert not applied(number)
    for node in nodes.nodes:
        node.start()
    assert until(lambda: not invalidation.catch_up(HERE)) and applied(number)


def test_prefix(nodes: LocalFleet) -> None:
    """Of a thousand keys exactly those with the prefix go, and those whose full name is too long to tell."""
    cache.set_many({f"{kind}:{number}": number for kind in ("book", "author") for number in range(500)})
    cache.set(LONG, 1), cache.set("book:1", 1, version=2)
    invalidate(prefix="book:")
    assert len(cache.get_many([f"author:{number}" for number in range(500)])) == 500
    assert not cache.get_many([LONG, *(f"book:{number}" for number in range(500))])
    assert cache.get("book:1", version=2) == 1


def test_prefix_with_a_generation(nodes: LocalFleet) -> None:
    """It is done here at once, without a task; and by an entry from elsewhere. Nothing is swept."""
    cache.set_many({"page:1": 1, "book:1": 1})
    items = sum(int(node.stats()["curr_items"]) for node in nodes.nodes)
    invalidate(prefix="page:")
    assert cache.get_many(["page:1", "book:1"]) == {"book:1": 1}
    assert applied(Invalidation.objects.get().pk)
    assert until(lambda: cache.set("page:1", 1))
    invalidation.apply(number := log("prefix", ":1:page:"), HERE)
    assert applied(number) and cache.get("page:1") is None
    assert sum(int(node.stats()["curr_items"]) for node in nodes.nodes) == items


def test_one_prefix_too_many(nodes: LocalFleet) -> None:
    """Where the fleet has no room for another generation the prefix is swept, as if it were not enabled."""
    full = {prefix_slot(f":{number}:page:"): 2 for number in range(2, MAX_PREFIXES + 2)}
    assert cache.fleet.run(agree, lambda state: state.bumped(full)).majority
    cache.set_many({"page:1": 1, "book:1": 1})
    assert invalidation.carry_out(of_prefix("default", "page:"))
    assert cache.get_many(["page:1", "book:1"]) == {"book:1": 1}
    assert len(cache.fleet.view.prefixes) == MAX_PREFIXES


def test_prefix_on_a_dead_node(nodes: LocalFleet) -> None:
    """A sweep is not complete while a node can't be listed: what lies on it may come back."""
    cache.get("a")
    nodes.nodes[0].kill()
    swept = sweep(cache.fleet, ":1:")
    assert swept.silent and not swept.complete


@pytest.mark.parametrize(("minutes", "taken_over"), [(0, False), (10, True)])
def test_sweeps_are_claimed(nodes: LocalFleet, minutes: int, taken_over: bool) -> None:
    """A sweep that another worker is at is left to it, until that worker shows no life any more."""
    cache.set("a", 1)
    number = log("prefix", ":1:")
    begun = now() - timedelta(minutes=minutes)
    Acknowledgement.objects.create(invalidation_id=number, region="eu", begun=begun)
    invalidation.catch_up(HERE)
    assert applied(number) is taken_over
    assert (cache.get("a") is None) is taken_over


def test_an_old_entry_goes(nodes: LocalFleet) -> None:
    """What every region has applied is settled, and leaves the log after a while; what one has missed stays."""
    settled, missed = log(), log()
    for number, regions in ((settled, ("eu", "us")), (missed, ("us",))):
        for region in regions:
            invalidation.acknowledge(number, region)
    Invalidation.objects.update(created=now() - timedelta(days=8))
    invalidation.catch_up(HERE)
    assert [entry.pk for entry in Invalidation.objects.all()] == [missed]


def test_what_cant_be_invalidated(nodes: LocalFleet) -> None:
    """Neither keys nor a prefix, or both, or an illegal key, is an error before anything is logged or deleted."""
    for terms in ({}, {"keys": ["a"], "prefix": "b"}):
        with pytest.raises(ConfigurationError):
            invalidate(**terms)
    with pytest.raises(ValueError):
        invalidate(["a", "b c"])
    assert not Invalidation.objects.exists()
