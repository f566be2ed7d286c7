"""Who may open which page of the dashboard."""

import pytest

from support.admin_project import told

USERS = ["anonymous", "user", "staff", "viewer", "pauser", "editor", "superuser"]
PAGES = {
    "index": "",
    "overview": "default/",
    "jobs": "default/jobs/",
    "plan": "default/jobs/?plan=1&add=10.0.0.1",
    "keys": "default/keys/",
    "key": "default/keys/?key=k",
    "sample": "default/keys/?sample=1",
    "epochs": "default/epochs/",
    "invalidations": "default/invalidations/",
}
VERBS = ["start", "pause", "resume", "cancel", "retry"]
LOOK = """
import django, json, re; django.setup()
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import path
import project
call_command("migrate", verbosity=0)
project.urlpatterns.append(path("admin/", admin.site.urls))
ours = Permission.objects.filter(content_type__app_label="dcache_manager", content_type__model="fleet")
names = ("user", "staff", "viewer", "pauser", "editor")
users = {name: User.objects.create_user(name, is_staff=name != "user") for name in names}
users["viewer"].user_permissions.set(ours.filter(codename="view_fleet"))
users["pauser"].user_permissions.set(ours.filter(codename__in=["view_fleet", "pause_job"]))
users["editor"].user_permissions.set(ours)
users["superuser"] = User.objects.create_superuser("superuser")
root = "/admin/dcache_manager/fleet/"
seen = {}
for user in ("anonymous", *users):
    client, checked = Client(), Client(enforce_csrf_checks=True)
    if user != "anonymous":
        client.force_login(users[user]), checked.force_login(users[user])
    seen[user] = {name: client.get(root + where).status_code for name, where in PAGES.items()}
    for verb in VERBS:
        where = f"{root}default/jobs/{verb}/"
        posted = client.post(where, {"job": "nosuch"})
        seen[user] |= {verb: posted.status_code, f"{verb} leads to": posted.headers.get("Location", "")}
        seen[user] |= {f"forged {verb}": checked.post(where).status_code, f"get {verb}": client.get(where).status_code}
seen["unknown"] = [client.get(root + "nosuch/").status_code, client.post(root + "nosuch/jobs/pause/").status_code]
from django.conf import settings
ours = settings.CACHES["default"]["BACKEND"]
settings.CACHES["eu/shop_1"] = settings.CACHES["default"]
client.force_login(users["superuser"])
links = re.findall('href="([^"]*eu[^"]*)"', client.get(root).content.decode())
tabs = re.findall('href="([^"]*shop[^"]*)"', client.get(links[0]).content.decode())
acts = re.findall('action="([^"]*shop[^"]*)"', client.get(links[0] + "jobs/").content.decode())
posted = client.post(links[0] + "jobs/pause/", follow=True)
entry = LogEntry.objects.get(object_id="eu/shop_1")
seen["slash"] = {where: client.get(where).status_code for where in [*links, *tabs, entry.get_admin_url()]}
seen["slash acts"] = [acts, posted.status_code, posted.redirect_chain[0][0]]
entry.delete()
settings.CACHES["broken"] = {"BACKEND": ours, "LOCATION": ["127.0.0.1:9"], "OPTIONS": {"replica": 2}}
seen["two fleets"] = client.get(root).content.decode()
seen["broken"] = client.get(root + "broken/").content.decode()
settings.CACHES["gone"] = {"BACKEND": "no.such.Backend"}
seen["gone"] = client.get(root).content.decode()
seen["log"] = [[row.user.username, row.object_id, row.change_message] for row in LogEntry.objects.order_by("pk")]
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The status codes by user and page, and the admin's log; no node answers."""
    return told(tmp_path_factory.mktemp("dashboard"), f"PAGES, VERBS = {PAGES}, {VERBS}\n{LOOK}")


def may(user: str, verb: str) -> bool:
    """Whether a user has the permission of this name."""
    return user in ("editor", "superuser") or (user == "pauser" and verb == "pause")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("user", USERS)
def test_reading(seen: dict, user: str, page: str) -> None:
    """Users with the permission see the page, other staff is refused, and the rest must log in."""
    welcome = 302 if page == "index" else 200  # There is one fleet: the index leads to it.
    refused = {"anonymous": 302, "user": 302, "staff": 403}
    if page in ("keys", "key", "sample"):  # Keys may be names of people.
        refused |= {"viewer": 403, "pauser": 403}
    assert seen[user][page] == refused.get(user, welcome)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("user", USERS)
def test_acting(seen: dict, user: str, verb: str) -> None:
    """Each act needs its own permission; then it is tried, and leads back to the page of jobs."""
    if user in ("anonymous", "user"):
        assert "login" in seen[user][f"{verb} leads to"]
    elif may(user, verb):
        assert seen[user][f"{verb} leads to"] == "/admin/dcache_manager/fleet/default/jobs/"
    else:
        assert seen[user][verb] == 403


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("user", USERS)
def test_forging(seen: dict, user: str, verb: str) -> None:
    """Without a CSRF token, or by GET, no user gets anything done."""
    codes = {seen[user][f"forged {verb}"], seen[user][f"get {verb}"]}
    assert codes <= ({302, 403} if user in ("anonymous", "user") else {403, 405})


def test_audit(seen: dict) -> None:
    """Each act of a user who may, and no other, is in the admin's log, also if it came to nothing, and why."""
    expected = [(user, verb) for user in USERS for verb in VERBS if may(user, verb)]
    assert [(user, text.partition(":")[0]) for user, _, text in seen["log"]] == expected
    assert {alias for _, alias, _ in seen["log"]} == {"default"}
    assert all(": not done: " in text for _, _, text in seen["log"])


def test_unknown_fleet(seen: dict) -> None:
    """An alias that has no fleet has no page, and nothing can be done to it."""
    assert seen["unknown"] == [404, 404]


def test_alias_with_a_slash(seen: dict) -> None:
    """An alias may have any characters: the choice of fleets, the tabs, the acts and the admin's log lead to it."""
    assert len(seen["slash"]) >= 5 and set(seen["slash"].values()) == {200}
    acts, status, leads_to = seen["slash acts"]
    assert status == 200 and leads_to.endswith("/jobs/") and leads_to in seen["slash"]


def test_broken_configuration(seen: dict) -> None:
    """Of several fleets one is chosen; an alias that can't be used says why, as does a backend that is not there."""
    assert "/admin/dcache_manager/fleet/broken/" in seen["two fleets"]
    assert "did you mean" in seen["broken"] and "no.such" not in seen["broken"]
    assert "be imported" in seen["gone"]
