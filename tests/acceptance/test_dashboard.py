"""The dashboard as an operator uses it: in a browser, on a shop under load, with Celery workers that move the keys."""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from django_dcache.testing import LocalFleet, LocalNode
from support import browser as browsers
from support.example_shop import PROJECT, serve

pytestmark = pytest.mark.skipif(bool(browsers.missing), reason=f"not installed: {' '.join(browsers.missing)}")
ROOT = "/admin/dcache_manager/fleet/default/"
PAGES = ("", "keys/?key=k7", "keys/?sample=1", "jobs/?plan=1&replicas=2", "epochs/", "invalidations/")
EVIL = "<script>alert(1)</script>"
FILL = """
from django.contrib.auth.models import User
from django.core.cache import cache
User.objects.create_superuser("root", "", "root")
assert not cache.set_many({f"k{n}": "v" * n for n in range(1500)}, 3600)
"""
STORE = f"""
from django.core.cache import cache
cache.set("k7", 7, 3600)
cache.set({EVIL!r}, "x" * 20_000, 3600)
"""
NO_LIMIT = """
from dcache_manager.models import Job
from dcache_manager.rebalance.distributed.job import limit
limit(Job.objects.get(state="paused"), 100_000)
"""
LOAD = """
import django; django.setup()
import json, select, sys
from django.core.cache import cache
found, turn = {"reads": 0, "stale": 0, "lost": 0, "errors": 0}, 0
while not select.select([sys.stdin], [], [], 0.002)[0]:
    turn += 1
    key = f"load{turn % 100}"
    try:
        cache.set(key, turn, 3600)
        value = cache.get(key)
    except Exception:
        found["errors"] += 1
        continue
    found["reads"] += 1
    found["stale"] += value not in (turn, None)
    found["lost"] += value is None
print(json.dumps(found))
"""


class Site:
    """The shop, its nodes, and one node that is no part of the fleet yet."""

    def __init__(self, shop, fleet, extra):
        self.shop, self.fleet, self.extra = shop, fleet, extra
        self.url = shop.url + ROOT

    @contextmanager
    def process(self, *command, **options):
        command = [sys.executable, *command]
        with subprocess.Popen(command, cwd=PROJECT, env=self.shop.environment, **options) as process:
            try:
                yield process
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A shop with workers."""
    options, folder = json.dumps({"freshness": 0.2, "timeout": 1}), tmp_path_factory.mktemp("dashboard")
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    with (
        LocalFleet(3) as fleet,
        LocalNode() as extra,
        serve(fleet.addresses, folder, options=options, settings="support.strict_shop") as shop,
    ):
        shop.execute(FILL)
        site = Site(shop, fleet, extra)
        with site.process("-W", "ignore", "-m", "celery", "-A", "shop", "worker", "-Q", "dcache", "-c", "2", *quiet):
            yield site


@pytest.fixture(scope="module")
def window(site):
    """A browser in which the superuser is logged in."""
    with browsers.browser() as window:
        window.open(site.shop.url + "/admin/login/")
        window.type("[name=username]", "root")
        window.type("[name=password]", "root\n")
        window.wait_for("Site administration")
        yield window


@pytest.fixture
def operator(window):
    """That browser; whatever it complained of by the end of the test fails it."""
    yield window
    assert window.complaints() == []


def test_resize(site, operator):
    """A resize is planned, started, paused and resumed by buttons while load runs, and is done; another is cancelled,
    retried and cancelled again. The load sees no old value and no error; each act is in the log."""
    with site.process("-c", LOAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        operator.open_until(site.url + "jobs/", "#id_add")  # On a busy machine a look at the nodes may come too late.
        # At this rate its keys take more than a minute: each button is there when it is looked for.
        operator.type("#id_add", f"extra={site.extra.address}")
        operator.type("#id_max_rate", "5")
        operator.click("#plan")
        operator.wait_for("add extra (")
        operator.click("#start")
        operator.open_until(site.url, "#pause")
        operator.click("#pause")
        operator.wait_for("Resize: paused")
        site.shop.execute(NO_LIMIT)
        operator.click("#resume")
        operator.open_until(site.url + "jobs/", "#live-jobs .dcache-done", 120)

        operator.open(site.url + "jobs/?plan=1&remove=extra&max_rate=5")
        operator.click("#start")
        operator.open_until(site.url + "jobs/", "#cancel")
        operator.click("#cancel")
        operator.wait("document.querySelector('#live-jobs .dcache-cancelled')")
        operator.click("[id^=retry-]")
        operator.open_until(site.url + "jobs/", "#cancel")
        operator.click("#cancel")
        operator.wait("document.querySelector('#live-jobs .dcache-cancelled') && !document.querySelector('#cancel')")
        found = json.loads(load.communicate("\n", timeout=60)[0])
    assert found["reads"] > 500 and found["stale"] == found["errors"] == 0
    acts = operator.text("section[aria-labelledby=acts-title]")
    assert all(f"root {verb}: " in acts for verb in ("start", "pause", "resume", "cancel", "retry"))
    operator.open(site.url + "epochs/")
    assert "add extra" in operator.text("#content")


def test_pages(site, operator):
    """Every page fits 400 and 2,000 pixels, shows what it is for, and shows a hostile key as text."""
    site.shop.execute(STORE)
    said = {}
    for page in PAGES:
        operator.open(site.url + page)
        said[page] = operator.text("#content")
        assert operator.resize(400) and operator.resize(2000), page
    assert " nodes up" in said[""] and "Hit ratio" in said[""]
    assert "there" in said["keys/?key=k7"]
    assert EVIL in said["keys/?sample=1"] and "A sample: " in said["keys/?sample=1"]
    assert "replicas 1 becomes 2" in said["jobs/?plan=1&replicas=2"]


def test_keyboard_and_refreshing(site, operator):
    """The overview refreshes itself, keeps the focus where it was, stops by the keyboard, and shows a dead node."""
    operator.open(site.shop.url + "/admin/dcache/")
    operator.wait_for(" nodes up")
    operator.driver.execute_script("document.getElementById('window-6h').focus()")
    operator.wait("document.body.dataset.refreshed > 0", 30)
    assert operator.driver.execute_script("return document.activeElement.id") == "window-6h"
    site.fleet.nodes[0].kill()
    operator.wait_for(f"{site.fleet.addresses[0]} is down", 30)
    operator.type("#refresh", "\n")
    assert operator.all("#refresh[aria-pressed=true]")


@pytest.mark.skipif(not browsers.axe.exists(), reason="axe-core is not installed: it comes from npm")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible(site, operator, theme):
    """axe-core finds no serious fault on any page."""
    operator.theme(theme)
    operator.resize(1400)
    faults = {}
    for page in PAGES:
        operator.open(site.url + page)
        faults[page] = operator.faults()
    assert not any(faults.values()), faults
