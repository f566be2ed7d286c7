"""The journal in the database: what it holds, who shows it, and that it never stops a resize."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcache_manager.jobs.journal import DatabaseJournal, FileJournal, entries, journal
from dcache_manager.jobs.progress import Progress
from dcache_manager.models import Job, TopologyChange
from django_dcache.conf import parse
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet
from support.admin_project import SETTINGS

LOOK = """
import django; django.setup()
from django.contrib import admin
from django.urls import path
import project
project.urlpatterns.append(path("admin/", admin.site.urls))
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_superuser("root"))
for name in ("job", "topologychange", "invalidation"):
    codes = [client.get(f"/admin/dcache_manager/{name}/").status_code]
    codes.append(client.get(f"/admin/dcache_manager/{name}/1/change/").status_code)
    codes.append(client.get(f"/admin/dcache_manager/{name}/add/").status_code)
    codes.append(client.post(f"/admin/dcache_manager/{name}/1/delete/", {"post": "yes"}).status_code)
    print(name, *codes)
"""


@pytest.fixture
def away() -> Fleet:
    """A fleet of which no node answers, and none is asked."""
    return Fleet(parse("default", ["127.0.0.1:9"]))


def test_events(tables: None, away: Fleet) -> None:
    """Events come back in order with their counts; the job shows the last of them; an epoch is history."""
    kept = journal(away)
    progress = Progress("ab12", "me")
    kept.record("began", progress, wish="run")
    progress.moved, progress.state = 7, "done"
    for event in ("published", "published", "done"):
        kept.record(event, progress)
    first, *_, last = entries(away.configuration.fleet)
    assert (first["event"], first["wish"], first["moved"]) == ("began", "run", 0)
    assert (last["event"], last["moved"], last["job"]) == ("done", 7, "ab12")
    job = Job.objects.get()
    assert job.state == "done" and job.progress["moved"] == 7
    assert TopologyChange.objects.get().document == away.view.state.topology.to_json()


def test_without_tables(away: Fleet) -> None:
    """Without its tables the journal is a file; tables that go away under it are a note, and no exception."""
    assert isinstance(journal(away), FileJournal)
    progress = Progress("ab12", "me")
    DatabaseJournal(away).record("began", progress)
    assert len(progress.notes) == 1


def test_a_resize_is_seen(tmp_path: Path) -> None:
    """What `rebalance run` did is in `jobs list`, in `jobs show` and in the admin, where nothing can be changed."""
    with LocalFleet(2) as nodes:
        (tmp_path / "project.py").write_text(
            SETTINGS.format(database=str(tmp_path / "site.sqlite3"), addresses=nodes.addresses[:1])
        )
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
        }

        def python(*arguments: str) -> str:
            run = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            return run.stdout

        python("-m", "django", "migrate", "-v", "0")
        admin = ("-m", "dcache_manager", "--json", "--yes")
        python(*admin, "rebalance", "run", "--add", nodes.addresses[1])
        python(*admin, "invalidate", "key", "a")
        (job,) = json.loads(python(*admin, "jobs", "list"))["items"]
        assert (job["state"], job["phase"]) == ("done", "stable")
        events = json.loads(python(*admin, "jobs", "show", job["job"][:3]))["items"]
        assert [event["event"] for event in events][:2] == ["began", "published"]
        seen = python("-c", LOOK).splitlines()
    assert seen == [f"{name} 200 200 403 403" for name in ("job", "topologychange", "invalidation")]
