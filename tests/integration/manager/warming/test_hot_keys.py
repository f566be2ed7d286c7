"""Which keys are hot, on real nodes."""

import pytest
from django.core.cache import cache, caches
from django.test import Client, override_settings

from dcache_manager.warming import Fragment, View
from dcache_manager.warming import runs as jobs
from dcache_manager.warming.hot import find_hot
from dcache_manager.warming.registry import find
from support import warmed_pages as pages
from support.warmer_runs import counts, registered, run

pytestmark = pytest.mark.usefixtures("nodes")


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
