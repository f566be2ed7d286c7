"""How long a page may take while a node is silent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from django_dcache.testing import LocalFleet
from support.admin_project import SETTINGS

PAGES = ["", "jobs/", "jobs/?plan=1&replicas=2", "keys/?key=k", "keys/?sample=1", "epochs/"]
LOOK = """
import django, json, time; django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path
import project
call_command("migrate", verbosity=0)
project.urlpatterns.append(path("admin/", admin.site.urls))
client, seen = Client(), {}
client.force_login(User.objects.create_superuser("root"))
for page in PAGES:
    began = time.monotonic()
    answer = client.get("/admin/dcache_manager/fleet/default/" + page)
    seen[page] = [answer.status_code, time.monotonic() - began, answer.content.decode()]
print(json.dumps(seen))
"""


@pytest.mark.timing
def test_a_silent_node(tmp_path: Path) -> None:
    """A node that takes connections and says nothing costs a page its time once, whatever the page shows of it."""
    with LocalFleet(3) as fleet:
        settings = SETTINGS.format(database=str(tmp_path / "site.sqlite3"), addresses=fleet.addresses)
        (tmp_path / "project.py").write_text(settings)
        paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "project", "PYTHONPATH": paths}
        fleet.nodes[1].freeze()
        command = [sys.executable, "-c", f"PAGES = {PAGES}\n{LOOK}"]
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert {code for code, _, _ in seen.values()} == {200}
    # A look of 2 s, and a sample of 1 + 1 s of the nodes that answered it.
    assert {page: seconds for page, (_, seconds, _) in seen.items() if seconds > 3.0 + 2.0 * ("sample" in page)} == {}
    assert f"{fleet.addresses[1]} is down" in seen[""][2]
