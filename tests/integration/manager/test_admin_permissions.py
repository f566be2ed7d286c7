"""Who may do what in Django's admin: every page, for every kind of user, with and without a CSRF token."""

import pytest

from support.admin_project import told

NAMES = ["job", "topologychange", "invalidation", "nodesample"]
USERS = ["anonymous", "user", "staff", "viewer", "editor", "superuser"]
LOOK = """
import django, json; django.setup()
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import path
from django.utils.timezone import now
from dcache_manager.models import *
import project
call_command("migrate", verbosity=0)
project.urlpatterns.append(path("admin/", admin.site.urls))
ours = Permission.objects.filter(content_type__app_label="dcache_manager")
names = ("user", "staff", "viewer", "editor")
users = {name: User.objects.create_user(name, is_staff=name != "user") for name in names}
users["viewer"].user_permissions.set(ours.filter(codename__startswith="view_"))
users["editor"].user_permissions.set(ours)
users["superuser"] = User.objects.create_superuser("superuser")
job = Job.objects.create(name="j", kind="rebalance", fleet="f", state="done", heard=now())
rows = {
    "job": job,
    "topologychange": TopologyChange.objects.create(fleet="f", epoch=1, phase="copy", at=now(), job=job, document={}),
    "invalidation": Invalidation.objects.create(region="eu", alias="default", kind="keys", made=["k"]),
    "nodesample": NodeSample.objects.create(fleet="f", node="n", at=now(), state="up", facts={}),
}
before = {name: type(row).objects.values().get(pk=row.pk) for name, row in rows.items()}
seen = {}
for user in ("anonymous", *users):
    client, checked = Client(), Client(enforce_csrf_checks=True)
    if user != "anonymous":
        client.force_login(users[user]), checked.force_login(users[user])
    for name, row in rows.items():
        place = f"/admin/dcache_manager/{name}/"
        reads = {"list": place, "one": f"{place}{row.pk}/change/", "history": f"{place}{row.pk}/history/"}
        codes = {page: client.get(where).status_code for page, where in reads.items()}
        forms = {"add": f"{place}add/", "change": f"{place}{row.pk}/change/", "delete": f"{place}{row.pk}/delete/"}
        codes |= {f"get {page}": client.get(where).status_code for page, where in forms.items() if page != "change"}
        for client_, kind in ((client, "post"), (checked, "forged")):
            codes |= {f"{kind} {page}": client_.post(where, {"post": "yes", "name": "x", "state": "x", "fleet": "x"})
                .status_code for page, where in forms.items()}
        action = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        codes["post action"] = client.post(place, action).status_code
        codes["forged action"] = checked.post(place, action).status_code
        seen[f"{user} {name}"] = codes
after = {name: type(row).objects.values().get(pk=row.pk) for name, row in rows.items()}
print(json.dumps([seen, before == after, {name: type(row).objects.count() for name, row in rows.items()}]))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list:
    """The status codes by user and table; whether the rows are as they were, and how many there are."""
    return told(tmp_path_factory.mktemp("permissions"), LOOK)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("user", USERS)
def test_reading(seen: list, user: str, name: str) -> None:
    """Users with the permission to view see lists and rows; other staff is refused, and the rest must log in."""
    codes = seen[0][f"{user} {name}"]
    expected = {"viewer": 200, "editor": 200, "superuser": 200, "staff": 403}.get(user, 302)
    assert {codes[page] for page in ("list", "one", "history")} == {expected}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("user", USERS)
def test_writing(seen: list, user: str, name: str) -> None:
    """No user can add, change or delete a row, whatever the permissions, nor by an action on a list."""
    codes = seen[0][f"{user} {name}"]
    expected = 302 if user in ("anonymous", "user") else 403
    writes = {page: code for page, code in codes.items() if page.startswith(("get ", "post "))}
    action = writes.pop("post action")
    assert writes == dict.fromkeys(writes, expected)
    # A list shows itself again to users who may see it: there is no action to choose.
    assert action in ((200, 302) if user in ("viewer", "editor", "superuser") else (expected,))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("user", USERS)
def test_forging(seen: list, user: str, name: str) -> None:
    """A request without a CSRF token is refused."""
    forged = {page: code for page, code in seen[0][f"{user} {name}"].items() if page.startswith("forged")}
    expected = 302 if user in ("anonymous", "user") else 403
    assert set(forged.values()) <= {403, expected}


def test_nothing_has_changed(seen: list) -> None:
    """After all of it each table is as it was."""
    assert seen[1] and set(seen[2].values()) == {1}
