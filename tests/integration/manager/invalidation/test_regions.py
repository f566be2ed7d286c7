"""An invalidation reaches every region: by message at once, by the log whatever becomes of the messages."""

import json
from pathlib import Path

from support.servers import Broker
from support.two_regions.sites import Sites
from support.waiting import until

PLANT = "cache.set_many({'a': 1, 'b': 2, 'book:1': 3, 'book:2': 4})"
SHOW = "print(sorted(cache.get_many(['a', 'b', 'book:1', 'book:2'])))"
ASKED_ONCE = """
import logging
from django_dcache import invalidate
records = []
logging.getLogger("dcache_manager").addFilter(records.append)
for key in ('a', 'a', 'b'):
    invalidate([key])
print([record.action for record in records])
"""
CATCH_UP = """
from dcache_manager.beat import schedule
from support.two_regions.settings import app
entry = schedule()["dcache.catch_up in dcache.us"]
app.send_task(entry["task"], queue=entry["options"]["queue"])
"""


def acknowledged(sites: Sites) -> list[str]:
    """The column REGIONS of `invalidate log`, the newest first."""
    items = json.loads(sites.admin("eu", "invalidate", "log", "--json"))["items"]
    return [item["acknowledged"] for item in items]


def test_two_regions(tmp_path: Path, broker: Broker) -> None:
    """What one region invalidates is gone in the other: by message; by the log, when the broker is gone (which
    is asked once, and then left alone for a while)."""
    sites = Sites(tmp_path, broker)
    try:
        for region in ("eu", "us"):
            sites.python(region, PLANT)
        worker = sites.work("us")
        sites.python("eu", "from django_dcache import invalidate; invalidate(['a'])")
        assert sites.python("eu", SHOW) == "['b', 'book:1', 'book:2']"
        assert until(lambda: acknowledged(sites) == ["2/2"]), (tmp_path / "us.log").read_text()
        assert sites.python("us", SHOW) == "['b', 'book:1', 'book:2']"

        broker.kill()
        worker.kill()
        assert sites.python("eu", ASKED_ONCE) == "['not_sent']"
        assert acknowledged(sites) == ["1/2", "1/2", "1/2", "2/2"]
        assert sites.python("us", SHOW) == "['b', 'book:1', 'book:2']"

        broker.start()
        sites.python("eu", CATCH_UP)
        sites.work("us")
        assert until(lambda: acknowledged(sites) == ["2/2"] * 4), (tmp_path / "us.log").read_text()
        assert sites.python("us", SHOW) == "['book:1', 'book:2']"
    finally:
        sites.close()


def test_without_a_broker(tmp_path: Path) -> None:
    """Eager tasks do keys and prefixes at once; nobody speaks for the other region, which catches up by the log."""
    sites = Sites(tmp_path)
    try:
        for region in ("eu", "us"):
            sites.python(region, PLANT)
        sites.python("eu", "from django_dcache import invalidate; invalidate(['a']); invalidate(prefix='book')")
        assert sites.python("eu", SHOW) == "['b']"
        assert acknowledged(sites) == ["1/2", "1/2"]
        sites.python("us", "from dcache_manager.tasks import catch_up; catch_up.delay()")
        assert sites.python("us", SHOW) == "['b']"
        assert acknowledged(sites) == ["2/2", "2/2"]
        assert "entry 3" in sites.admin("us", "invalidate", "all", "--yes")
        assert sites.python("us", SHOW) == "[]"
    finally:
        sites.close()
