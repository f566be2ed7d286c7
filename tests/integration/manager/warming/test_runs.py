"""Warming on real nodes: what is stored, what is left alone, and what becomes of a run that is broken off."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.core.cache import cache, caches
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils.timezone import now

from dcache_manager.errors import BrokerAway
from dcache_manager.jobs import owner
from dcache_manager.jobs.row_lease import TAKEOVER
from dcache_manager.models import Job
from dcache_manager.tasks import warm, warm_due
from dcache_manager.warming import Fragment, View, registry
from dcache_manager.warming import runs as jobs
from dcache_manager.warming.distributed import run_turn, send
from dcache_manager.warming.hot import find_hot
from dcache_manager.warming.registry import Warmer, find, warmer
from dcache_manager.warming.worker_turn import BUSY
from django_dcache import invalidate
from django_dcache.testing import LocalFleet
from support import warmed_pages as pages
from support.waiting import until

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"card.html": pages.TEMPLATE})]},
    }
]


@pytest.fixture(scope="module")
def migrated() -> Iterator[None]:
    """The manager's tables, for all tests of this module: making them takes longer than most of these."""
    call_command("migrate", "dcache_manager", verbosity=0)
    yield
    call_command("migrate", "dcache_manager", "zero", verbosity=0)


@pytest.fixture(autouse=True)
def nodes(migrated: None, fleet: Callable[..., LocalFleet]) -> Iterator[LocalFleet]:
    """Three nodes behind the alias "default" of a small site; no warmer is registered."""
    nodes = fleet(3)
    entry: dict[str, Any] = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses}
    entry["OPTIONS"] = {"freshness": 0.2, "replicas": 2}
    site = {"ROOT_URLCONF": pages.__name__, "TEMPLATES": TEMPLATES, "ALLOWED_HOSTS": ["shop.example.com"]}
    registry._warmers.clear()
    pages.runs.clear()
    with override_settings(CACHES={"default": entry}, **site):
        yield nodes
    Job.objects.all().delete()


def registered(function: Callable[[], Iterable[Any]], **terms: Any) -> Warmer:
    """A warmer "test"."""
    registry._warmers.clear()
    warmer("test", **terms)(function)
    return find("test")


def run(function: Callable[[], Iterable[Any]], **terms: Any) -> Job:
    """The job of a whole run of such a warmer."""
    job = jobs.begin(registered(function, **terms))
    jobs.work(job.name, retry_seconds=0.0)
    return again(job)


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def counts(job: Job) -> tuple[str, int, int, int]:
    job = again(job)
    return (job.state, *(job.progress[name] for name in ("loaded", "present", "failed")))


# Items


def test_loads_what_is_missing() -> None:
    """Loaders run for missing keys alone; values are added; a second run finds everything there."""
    loads: Counter[str] = Counter()

    def load(key: str) -> str:
        loads[key] += 1
        return f"loaded {key}"

    def items() -> Iterator[Any]:
        for number in range(20):
            yield f"k{number}", lambda key=f"k{number}": load(key)
        yield "value", 7
        yield "none", lambda: None

    cache.set_many({"k3": "newer", "k4": None})
    assert counts(run(items)) == ("done", 20, 2, 0)
    assert sum(loads.values()) == 18 and max(loads.values()) == 1 and "k3" not in loads
    assert (cache.get("k1"), cache.get("k3"), cache.get("value"), cache.get("k4", 1)) == ("loaded k1", "newer", 7, None)
    assert counts(run(items)) == ("done", 0, 22, 0) and sum(loads.values()) == 18


def test_never_overwrites_something_newer() -> None:
    """What is written while a loader runs stays; what is deleted meanwhile is not brought back: a failure."""

    def written() -> str:
        cache.set("a", "newer")
        return "older"

    def deleted() -> str:
        cache.delete("b")
        return "older"

    job = run(lambda: [("a", written), ("b", deleted)])
    assert (cache.get("a"), cache.get("b")) == ("newer", None)
    assert counts(job) == ("partial", 1, 0, 1) and list(jobs.failures(job)) == [":1:b"]


def test_tried_once_more() -> None:
    """What was lost to a delete while it was loaded is loaded once more at the end; what fails for itself is not."""
    loads: Counter[str] = Counter()

    def load(key: str) -> int:
        loads[key] += 1
        if loads[key] == 1:
            cache.delete(key)
        return 1 // (key != "broken")

    assert counts(run(lambda: [(key, lambda key=key: load(key)) for key in ("a", "b", "broken")])) == (
        "partial",
        2,
        0,
        1,
    )
    assert loads == {"a": 2, "b": 2, "broken": 1}


def test_leased_by_somebody_else() -> None:
    """While another client is loading a key the worker waits for it, and loads nothing itself."""
    asked: list[str] = []
    began, go_on = threading.Event(), threading.Event()

    def theirs() -> str:
        began.set()
        assert go_on.wait(60)
        return "theirs"

    def ours() -> str:
        asked.append("a")
        return "ours"

    visitor = threading.Thread(target=lambda: cache.get_or_set("a", theirs))
    visitor.start()
    assert began.wait(60)
    job = jobs.begin(registered(lambda: [("a", ours)]))

    def let_him_go_on() -> None:
        until(lambda: asked, 0.5)  # The worker waits meanwhile, and loads nothing.
        go_on.set()

    slow = threading.Thread(target=let_him_go_on)
    slow.start()
    jobs.work(job.name, retry_seconds=0.0)
    visitor.join(), slow.join()
    assert counts(job) == ("done", 0, 1, 0) and cache.get("a") == "theirs" and not asked


def test_below_an_invalidated_prefix() -> None:
    """Right after its prefix was invalidated nothing can be stored: the second try, a moment later, stores it."""
    entry = dict(caches.settings["default"])
    entry["OPTIONS"] = entry["OPTIONS"] | {"prefixes": ["book:"], "timeout": 0.2}
    with override_settings(CACHES={"default": entry}):
        assert counts(run(lambda: [("book:1", lambda: 1)])) == ("done", 1, 0, 0)
        invalidate(prefix="book:")
        job = jobs.begin(registered(lambda: [("book:1", lambda: 2)]))
        jobs.work(job.name, retry_seconds=1.0)
        assert counts(job) == ("done", 1, 0, 0) and cache.get("book:1") == 2


def test_pages() -> None:
    """A warmed page is served to the visitor who sends what was warmed, without running the view, and to no other.

    One that fails, is not found or is not cached is a failure that says why.
    """
    phone = {"Device": "phone"}
    views = [View("/page/1/", headers=phone), View("/page/2/", host="127.0.0.1"), View("/personal/")]
    views += [View("/page/3/"), View("/broken/"), View("/nowhere/")]
    visitor = Client(headers={"host": "shop.example.com"})
    visitor.get("/page/3/")
    assert counts(job := run(lambda: views)) == ("partial", 1, 1, 4)
    reasons = {name.partition("com")[2]: reason for name, reason in jobs.failures(job).items()}
    assert "500: LookupError: no such row" in reasons["/broken/"]
    assert "404" in reasons["/nowhere/"] and "not cached" in reasons["/personal/"]
    assert "DisallowedHost: Invalid" in jobs.failures(job)["http://127.0.0.1/page/2/"]
    assert visitor.get("/page/1/", headers=phone).content == b"page 1 for a phone" and pages.runs["page 1"] == 1
    visitor.get("/page/1/", headers={"Device": "desk"})
    assert pages.runs["page 1"] == 2


def test_fragments() -> None:
    """A warmed fragment is in the visitor's page without being rendered again; one the template lacks is a failure."""
    product = {"product": pages.Product()}
    card = Fragment("card", [7, "cobalt blue"], "card.html", product)
    other = Fragment("card", [7, "red"], "card.html", product)
    assert counts(run(lambda: [card])) == ("done", 1, 0, 0)
    assert Client(headers={"host": "shop.example.com"}).get("/card/").content == b"a mug" and pages.runs["card"] == 1
    assert counts(run(lambda: [card])) == ("done", 0, 1, 0)
    assert counts(run(lambda: [other])) == ("partial", 0, 0, 1)


def test_dead_nodes(nodes: LocalFleet) -> None:
    """With one of two replicas away everything is warmed; with all nodes away everything is a failure, none a lie."""
    items = [(f"k{number}", lambda: 1) for number in range(30)]
    nodes.nodes[0].kill()
    assert counts(run(lambda: items)) == ("done", 30, 0, 0)
    for node in nodes.nodes[1:]:
        node.kill()
    assert counts(run(lambda: items)) == ("partial", 0, 0, 30)


# Runs


def test_retry_touches_only_the_failed() -> None:
    """Failures are listed with reasons; a retry runs these loaders and no others, and lists what fails again."""
    rows = {number: number for number in range(20) if number not in (4, 11)}
    loads: list[int] = []

    def load(number: int) -> int:
        loads.append(number)
        return rows[number]

    job = run(lambda: [(f"k{number}", lambda number=number: load(number)) for number in range(20)])
    assert counts(job) == ("partial", 18, 0, 2)
    assert jobs.failures(job) == {":1:k4": "KeyError: 4", ":1:k11": "KeyError: 11"}
    rows[4] = 4
    cache.delete("k7")
    loads.clear()
    retried = jobs.retry(job)
    jobs.work(retried.name)
    assert sorted(loads) == [4, 11] and cache.get("k4") == 4 and cache.get("k7") is None
    assert counts(retried) == ("partial", 1, 0, 1) and list(jobs.failures(retried)) == [":1:k11"]


def test_a_slice_at_a_time() -> None:
    """A run that is out of time goes on from its position; the items before are not asked for again."""
    asked: Counter[int] = Counter()

    def ask(number: int) -> int:
        asked[number] += 1
        return number

    held = jobs.begin(registered(lambda: [(f"k{number}", lambda number=number: ask(number)) for number in range(50)]))
    states = [jobs.work(held.name, 0.0)]
    while states[-1] == "running":
        states.append(jobs.work(held.name, 0.02))
    assert states[:1] == ["running"] and states[-1] == "done" and set(asked.values()) == {1}
    assert counts(held) == ("done", 50, 0, 0)


def test_without_an_order() -> None:
    """A warmer without an order starts again, so that nothing is left out."""
    keys = [f"k{number}" for number in range(10)]

    def items() -> Iterator[Any]:
        yield from [(key, lambda: 1) for key in keys]

    held = jobs.begin(registered(items, ordered=False))
    Job.objects.update(progress={"position": 5, "loaded": 5})
    keys.reverse()
    assert jobs.work(held.name) == "done" and len(cache.get_many(keys)) == 10


def test_one_run_at_a_time() -> None:
    """While somebody alive is at a run nobody joins in, and no second one begins; a cancelled run stops."""
    held = jobs.begin(registered(lambda: [("a", lambda: 1)]))
    Job.objects.update(holder=owner.new())
    assert jobs.work(held.name) == BUSY and jobs.begin(find("test")).pk == held.pk
    jobs.cancel(again(held))
    assert again(held).state == "cancelling"
    Job.objects.update(heard=now() - TAKEOVER)
    assert jobs.work(held.name) == "cancelled" and cache.get("a") is None


def test_a_warmer_that_fails() -> None:
    """A generator that raises is a failed run, which says so; the next one begins anew."""

    def items() -> Iterator[Any]:
        yield "a", lambda: 1
        raise LookupError("no such table")

    job = run(items)
    assert job.state == "failed" and "LookupError: no such table" in job.progress["notes"][0]
    assert jobs.begin(find("test")).pk != job.pk


def test_due() -> None:
    """A warmer is due once its `every` has passed since the last run began; a run left alone is gone on with."""
    found = registered(lambda: [("a", lambda: 1)], every=60)
    (first,) = jobs.due()
    assert jobs.due() == []
    later = now() + timedelta(seconds=61)
    assert jobs.due(lambda: later) == [first]
    jobs.work(first.name)
    assert jobs.due() == []
    (second,) = jobs.due(lambda: later)
    assert second.pk != first.pk and jobs.last(found) == second


def test_eager() -> None:
    """Without a broker tasks run where they are sent, to the end: the one for a name, and the one for what is due."""
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
    registered(lambda: [("a", lambda: 1)], every=60)
    warm.delay("test")
    assert cache.get("a") == 1 and counts(Job.objects.get()) == ("done", 1, 0, 0)
    cache.delete("a")
    warm_due.delay()
    assert cache.get("a") is None
    Job.objects.update(created=now() - timedelta(hours=1))
    warm_due.delay()
    assert cache.get("a") == 1


def test_the_broker_is_gone() -> None:
    """A worker that can't send the rest of a run to others does it itself."""
    app = Celery("tests", broker="redis://127.0.0.1:9", set_as_current=True)
    app.conf.update(task_publish_retry=False, broker_transport_options={"max_retries": 0})
    registered(lambda: [(f"k{number}", lambda: 1) for number in range(20)], rate=100.0)
    with pytest.raises(BrokerAway):
        send("test", "a")
    run_turn("test", None, seconds=0.05)
    assert counts(Job.objects.get()) == ("done", 20, 0, 0)


# Hot


def test_warming_makes_nothing_hot() -> None:
    """What warmers alone have looked at, however often, is not hot: nobody has asked for it."""
    card = Fragment("card", [7, "cobalt blue"], "card.html", {"product": pages.Product()})
    for outcome in [("done", 4, 0, 0), ("done", 0, 4, 0)]:
        assert counts(run(lambda: [("a", lambda: 1), ("b", 2), View("/page/1/"), card])) == outcome
    assert find_hot([find("test")], "default", 100).items == {}


def test_hot_after_a_deploy() -> None:
    """After VERSION or KEY_PREFIX changed, what was read under the old one is found with the old one, and loaded anew.

    Keys never read are not hot, nor are those of another version; and keys that no warmer yields are counted.
    """
    card = Fragment("card", [7, "cobalt blue"], "card.html", {"product": pages.Product()})
    long = "x" * 239  # A key that nodes know by a digest.
    items = [(key, lambda: 1) for key in ("read", "unread", "never", long)] + [("kept", lambda: 1)]
    visitor = Client(headers={"host": "shop.example.com"})
    found = [View("/page/1/"), View("/page/2/"), card]
    registered(lambda: [*items, *found])
    cache.set_many({"read": 1, "unread": 1, long: 1, "unknown": 1})
    cache.set("kept", 1, version=3)
    for path in ("/page/1/", "/page/1/", "/card/", "/card/"):
        visitor.get(path)
    cache.get_many(["read", long, "unknown"]), cache.get("kept", version=3)
    entry = dict(caches.settings["default"], VERSION=2, KEY_PREFIX="new")
    with override_settings(CACHES={"default": entry}):
        assert find_hot([find("test")], "default", 100).items == {}
        hottest = find_hot([find("test")], "default", 100, prefix="", version=1)
        assert sorted(hottest.items["test"]) == sorted(
            [":".join(["new", "2", "read"]), "new:2:" + long, found[0].name, found[2].name]
        )
        assert hottest.unknown == 2  # "unknown", and which headers the page varies on
        assert len(find_hot([find("test")], "default", 2, prefix="", version=1).names) == 2
        job = jobs.begin(find("test"), only=hottest.items["test"])
        jobs.work(job.name)
        assert counts(job) == ("done", 4, 0, 0) and cache.get("read") == 1 and cache.get("unread") is None
