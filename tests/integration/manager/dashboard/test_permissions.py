"""Who may open which page of the dashboard."""

import json
import os
import subprocess
import sys

import pytest

from support.admin_project import SETTINGS

USERS = ["anonymous", "user", "staff", "viewer", "editor", "superuser"]
PAGES = {"index": "", "overview": "default/"}
LOOK = """
import django, json; django.setup()
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import path
import project
call_command("migrate", verbosity=0)
project.urlpatterns.append(path("admin/", admin.site.urls))
ours = Permission.objects.filter(content_type__app_label="dcache_manager", content_type__model="fleet")
names = ("user", "staff", "viewer", "editor")
users = {name: User.objects.create_user(name, is_staff=name != "user") for name in names}
users["viewer"].user_permissions.set(ours.filter(codename="view_fleet"))
users["editor"].user_permissions.set(ours)
users["superuser"] = User.objects.create_superuser("superuser")
seen = {}
for user in ("anonymous", *users):
    client = Client()
    if user != "anonymous":
        client.force_login(users[user])
    seen[user] = {name: client.get(f"/admin/dcache_manager/fleet/{where}").status_code for name, where in PAGES.items()}
seen["unknown"] = client.get("/admin/dcache_manager/fleet/nosuch/").status_code
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The status codes by user and page."""
    folder = tmp_path_factory.mktemp("dashboard")
    database = str(folder / "site.sqlite3")
    (folder / "project.py").write_text(SETTINGS.format(database=database, addresses=["127.0.0.1:9"]))
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "project", "PYTHONPATH": paths}
    code = f"PAGES = {PAGES}\n{LOOK}"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("user", USERS)
def test_reading(seen: dict, user: str, page: str) -> None:
    """Users with the permission see the page, other staff is refused, and the rest must log in."""
    welcome = 302 if page == "index" else 200  # There is one fleet: the index leads to it.
    expected = {"viewer": welcome, "editor": welcome, "superuser": welcome, "staff": 403}.get(user, 302)
    assert seen[user][page] == expected


def test_unknown_fleet(seen: dict) -> None:
    """An alias that has no fleet has no page."""
    assert seen["unknown"] == 404
