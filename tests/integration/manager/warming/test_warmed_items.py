"""What warmers store on real nodes, and what they leave alone."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.test import Client, override_settings

from dcache_manager.warming import Fragment, View
from dcache_manager.warming import runs as jobs
from django_dcache import invalidate
from django_dcache.testing import LocalFleet
from support import warmed_pages as pages
from support.waiting import until
from support.warmer_runs import counts, registered, run

pytestmark = pytest.mark.usefixtures("nodes")


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
