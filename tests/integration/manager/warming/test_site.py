"""`dcache-admin warm` and Celery workers in a project on disk: every run is another process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from django_dcache.testing import LocalFleet
from support.servers import Broker
from support.waiting import until

PROJECT = """
import os
from celery import Celery

SECRET_KEY = "tests"
USE_TZ = True
CACHES = {{"default": {{"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": {addresses!r}}}}}
CACHES["default"]["VERSION"] = int(os.environ.get("VERSION", 1))
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
DATABASES["default"]["OPTIONS"] = {{"timeout": 20, "transaction_mode": "IMMEDIATE"}}
INSTALLED_APPS = ["dcache_manager", "stock"]
app = Celery("project", broker={broker!r})
app.conf.update(
    task_always_eager=app.conf.broker_url is None,
    broker_connection_retry_on_startup=True,
    imports=["dcache_manager.tasks"],
)
"""
WARMERS = """
import os, time
from functools import partial
from pathlib import Path
from dcache_manager.warming import warmer

HERE = Path(__file__).parent

def load(number):
    with (HERE / "loads").open("a") as loads:
        loads.write(f"{number} {os.getpid()}\\n")
    if number in (3, 5) and not (HERE / "mended").exists():
        raise LookupError(f"no row {number}")
    return number

@warmer("products", every=300, depends_on_tags=["catalog"])
def products():
    for number in range(10):
        yield f"product:{number}", partial(load, number)

@warmer("slow")
def slow():
    for number in range(100, 200):
        while number == 150 and not (HERE / "go on").exists():
            time.sleep(0.05)
        yield f"slow:{number}", partial(load, number)
"""
STORED = """
import django; django.setup()
from django.core.cache import cache
print(len(cache.get_many([f"slow:{number}" for number in range(100, 150)])))
"""
READ = """
import django; django.setup()
from django.core.cache import cache
cache.get_many(["product:1", "product:7"])
"""


class Site:
    """A project in a folder, with a warmer that fails for two keys and one that stops half-way until it may go on."""

    def __init__(self, folder: Path, nodes: LocalFleet, broker: Broker | None = None):
        self.folder, self._workers = folder, []
        names = {"addresses": nodes.addresses, "database": str(folder / "site.sqlite3")}
        (folder / "project.py").write_text(PROJECT.format(broker=broker and broker.url, **names))
        (folder / "stock").mkdir()
        (folder / "stock/__init__.py").touch()
        (folder / "stock/warmers.py").write_text(WARMERS)
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
        }
        self.run("-m", "django", "migrate", "-v", "0")

    def run(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        run = subprocess.run(command, env=self.environment | environment, capture_output=True, text=True, timeout=120)
        assert run.returncode == code, run.stdout + run.stderr
        return run

    def warm(self, *arguments: str, code: int = 0, **environment: str) -> Any:
        """What `dcache-admin warm` answers."""
        run = self.run("-m", "dcache_manager", "warm", *arguments, "--json", code=code, **environment)
        return json.loads(run.stdout)

    def jobs(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """What `dcache-admin jobs` says."""
        return self.run("-m", "dcache_manager", "jobs", *arguments, code=code)

    @property
    def said(self) -> str:
        """What the workers said."""
        return (self.folder / "worker.log").read_text()

    def loads(self) -> list[tuple[int, int]]:
        """(number, pid) of every call of a loader, in order."""
        lines = (self.folder / "stock/loads").read_text().splitlines() if (self.folder / "stock/loads").exists() else []
        return [(int(number), int(pid)) for number, pid in map(str.split, lines)]

    def work(self) -> None:
        """A worker with one child."""
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "project",
            "worker",
            "-Q",
            "dcache",
            "-c",
            "1",
            "-l",
            "WARNING",
        ]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with (self.folder / "worker.log").open("ab") as said:
            worker = subprocess.Popen(command, env=self.environment, stdout=said, stderr=said, start_new_session=True)
        self._workers.append(worker)

    def kill_workers(self) -> None:
        """`kill -9` them and their children, with what the broker had given them."""
        for worker in self._workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(timeout=60)
        self._workers.clear()

    def close(self) -> None:
        for worker in self._workers:
            worker.terminate()
            worker.wait(timeout=60)


@pytest.fixture
def nodes() -> Iterator[LocalFleet]:
    with LocalFleet(2) as nodes:
        yield nodes


@pytest.fixture
def served(tmp_path: Path, nodes: LocalFleet) -> Iterator[Site]:
    """A site with a broker and a worker."""
    broker = Broker()
    with ExitStack() as stack:
        stack.callback(broker.close)
        broker.start()
        site = Site(tmp_path, nodes, broker)
        stack.callback(site.close)
        site.work()
        yield site


def test_from_the_command_line(tmp_path: Path, nodes: LocalFleet) -> None:
    """Failures are listed with their reasons (exit 3), a retry touches them alone, and after a deploy with another
    VERSION the keys that were read are loaded again, and no others."""
    site = Site(tmp_path, nodes)
    answer = site.warm("run", "--tag", "catalog", code=3)
    (item,) = answer["items"]
    assert (item["warmer"], item["state"], item["loaded"], item["failed"]) == ("products", "partial", 8, 2)
    reasons = sorted((error["item"], error["error"], error["message"]) for error in answer["errors"])
    assert reasons == [(f":1:product:{number}", "LookupError", f"no row {number}") for number in (3, 5)]

    (tmp_path / "stock/mended").touch()
    before = len(site.loads())
    assert "partial" in site.jobs("watch", item["job"], code=3).stderr
    assert "retries" in site.jobs("retry", item["job"]).stderr
    retried = site.warm("status")["items"][0]
    assert (retried["state"], retried["loaded"], retried["retry_of"]) == ("done", 2, item["job"])
    assert sorted(number for number, _ in site.loads()[before:]) == [3, 5]
    assert "is over: done" in site.jobs("cancel", retried["job"], code=2).stderr
    shown = site.run("-m", "dcache_manager", "warm", "status", item["job"], code=3)
    assert "products: :1:product:3: LookupError: no row 3" in shown.stderr
    assert [run["state"] for run in site.warm("list")["items"]] == ["partial", None]

    site.run("-c", READ)
    before = len(site.loads())
    answer = site.warm("hot", "products", "--version", "1", VERSION="2")
    assert (answer["hot"], answer["unknown"], answer["items"][0]["loaded"]) == (2, 0, 2)
    assert sorted(number for number, _ in site.loads()[before:]) == [1, 7]
    assert "did you mean 'products'" in site.warm("run", "product", code=2)["errors"][0]["message"]


def half_way(site: Site) -> int:
    """The process that has loaded half of the slow warmer, and stored it."""
    assert until(lambda: len(site.loads()) == 50), site.said
    assert until(lambda: site.run("-c", STORED).stdout == "50\n")
    return site.loads()[0][1]


def assert_each_once(site: Site, killed: int) -> None:
    assert [number for number, _ in sorted(site.loads())] == list(range(100, 200))
    assert {pid for number, pid in site.loads() if number < 150} == {killed}
    assert killed not in {pid for number, pid in site.loads() if number >= 150}


def test_a_killed_child(served: Site) -> None:
    """A worker child that is killed half-way is followed by another, which loads the rest, and no item twice."""
    (item,) = served.warm("run", "slow", "--runner", "celery", "--no-wait")["items"]
    assert item["state"] == "running"
    os.kill(killed := half_way(served), signal.SIGKILL)
    (served.folder / "stock/go on").touch()
    assert until(lambda: served.warm("status", item["job"])["items"][0]["state"] == "done"), served.said
    assert_each_once(served, killed)


def test_a_killed_worker(served: Site) -> None:
    """A worker that is killed whole half-way takes its message with it: the command that watches the run has the next
    worker finish it, with no beat and no item loaded twice."""
    command = [sys.executable, "-m", "dcache_manager", "warm", "run", "slow", "--runner", "celery", "--json"]
    with subprocess.Popen(command, env=served.environment, stdout=subprocess.PIPE, text=True) as watching:
        killed = half_way(served)
        served.kill_workers()
        (served.folder / "stock/go on").touch()
        served.work()
        (item,) = json.loads(watching.communicate(timeout=120)[0])["items"]
    assert (item["state"], item["failed"], watching.returncode) == ("done", 0, 0), served.said
    assert_each_once(served, killed)
