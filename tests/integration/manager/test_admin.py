"""The tables in Django's admin: each list in a bounded number of queries, nothing to be changed, keys escaped."""

import json
import os
import subprocess
import sys

import pytest

from support.admin_project import SETTINGS

LOOK = """
import django, json; django.setup()
from datetime import timedelta
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils.timezone import now
from dcache_manager.models import *
import project
call_command("migrate", verbosity=0)
project.urlpatterns.append(path("admin/", admin.site.urls))
client = Client()
client.force_login(User.objects.create_superuser("root"))
EVIL = "<script>alert(1)</script>"

def fill(count):
    for number in range(count):
        job = Job.objects.create(name=f"{now().timestamp()}", kind="rebalance", fleet="f", state="done", heard=now())
        Step.objects.create(job=job, name=EVIL, state="done", heard=now())
        Step.objects.create(job=job, name="2", heard=now())
        events = (Event(job=job, at=now(), event=f"event {n}", details={"key": EVIL}) for n in range(110))
        Event.objects.bulk_create(events)
        layout = {"nodes": [{}, {}, {}]}
        TopologyChange.objects.create(fleet="f", epoch=number, phase="copy", at=now(), job=job,
            document={"layout": layout, "target": {"nodes": [{}] * 4}})
        entry = Invalidation.objects.create(region="eu", alias="default", kind="keys", made=[":1:" + EVIL, "b"])
        for region in ("eu", "us"):
            Acknowledgement.objects.create(invalidation=entry, region=region, begun=now(), applied=now())
        facts = {"items": 1234567, "bytes": 1, "limit_bytes": 2, "hit_ratio": None, "version": EVIL}
        NodeSample.objects.create(fleet="f", node="10.0.0.1", at=now(), state="up", facts=facts)

def look(query=""):
    seen = {}
    for name in ("job", "topologychange", "invalidation", "nodesample"):
        where, first = f"/admin/dcache_manager/{name}/", globals()[{"job": "Job", "topologychange": "TopologyChange",
            "invalidation": "Invalidation", "nodesample": "NodeSample"}[name]].objects.first().pk
        with CaptureQueriesContext(connection) as of_list:
            listed = client.get(where + query)
        with CaptureQueriesContext(connection) as of_one:
            one = client.get(f"{where}{first}/change/")
        page = listed.content.decode() + one.content.decode()
        codes = [listed.status_code, one.status_code, client.get(where + "add/").status_code]
        codes.append(client.post(f"{where}{first}/delete/", {"post": "yes"}).status_code)
        seen[name] = {"queries": [len(of_list), len(of_one)], "codes": codes, "raw": EVIL in page, "page": page}
    return seen

fill(2)
few = look()
fill(10)
print(json.dumps([few, look(), look("?q=alert"), look("?q=nothing-like-it")]))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict]]:
    """What the admin shows of few rows, of many, and of two searches among them."""
    folder = tmp_path_factory.mktemp("admin")
    (folder / "project.py").write_text(
        SETTINGS.format(database=str(folder / "site.sqlite3"), addresses=["127.0.0.1:9"])
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "project",
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
    }
    run = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


NAMES = ["job", "topologychange", "invalidation", "nodesample"]


@pytest.mark.parametrize("name", NAMES)
def test_lists(seen: list[dict[str, dict]], name: str) -> None:
    """A list of many rows takes no more queries than one of few, and nothing can be added or deleted."""
    few, many, *_ = (look[name] for look in seen)
    assert few["codes"] == many["codes"] == [200, 200, 403, 403]
    assert few["queries"] == many["queries"] and max(many["queries"]) < 16


@pytest.mark.parametrize("name", NAMES)
def test_escaped(seen: list[dict[str, dict]], name: str) -> None:
    """Keys and what nodes say are text, whatever is in them."""
    assert not any(look[name]["raw"] for look in seen)


def test_what_is_shown(seen: list[dict[str, dict]]) -> None:
    """Steps done, nodes before and after, regions done, and what a node said; of a long journal the end."""
    pages = {name: seen[1][name]["page"] for name in NAMES}
    assert "1 of 2" in pages["job"] and "event 109" in pages["job"] and "event 9 " not in pages["job"]
    assert "3 → 4" in pages["topologychange"]
    assert "and 1 more" in pages["invalidation"]
    assert "1,234,567" in pages["nodesample"] and "50.0%" in pages["nodesample"]


def test_search(seen: list[dict[str, dict]]) -> None:
    """Invalidations are found by a part of a key."""
    assert "12 invalidations" in seen[2]["invalidation"]["page"]
    assert "0 invalidations" in seen[3]["invalidation"]["page"]
