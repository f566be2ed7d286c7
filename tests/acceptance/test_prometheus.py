"""A site with several workers, scraped by a real Prometheus."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from django_dcache.testing import CLOSE, FaultProxy, LocalFleet, LocalNode
from support.checkout import CHECKOUT
from support.scale import FULL
from support.waiting import until

PROJECT = """
SECRET_KEY, ROOT_URLCONF, ALLOWED_HOSTS = "tests", "site_on_four", ["*"]
CACHES = {{"default": {{"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": {location!r},
                        "OPTIONS": {{"fleet": "shop", "eject_after": 0}}}}}}
"""
SITE = """
import os
from pathlib import Path
from random import randrange
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django_dcache.metrics import prometheus
prometheus.install()

def page(request):
    cache.get("absent")
    return HttpResponse(str(os.getpid()))

def act(request, verb):
    ACTS[verb]()
    return HttpResponse()

def jobs(request):
    return HttpResponse(Path("jobs.prom").read_text(), content_type="text/plain; version=0.0.4")

KEYS = [f"key{number}" for number in range(400)]
ACTS = {
    "fill": lambda: cache.set_many(dict.fromkeys(KEYS, 1), 3600),
    "read": lambda: cache.get_many(KEYS[:20]),
    "write": lambda: cache.set(f"written{randrange(1000)}", 1),
    "clear": lambda: cache.clear(),
}
urlpatterns = [
    path("", page), path("metrics", prometheus.view), path("jobs", jobs), path("<str:verb>", act)
]
application = get_wsgi_application()
"""
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: site
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: jobs
    metrics_path: /jobs
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
SHORTER = {
    r"(?m)^ +for: .*\n": "",
    r"(dcache_keys_total[^[]*)\[10m\]": r"\1[8s]",
    "offset 10m": "offset 8s",
    "> 120": "> 5",
}
"""What the alerts wait for, in seconds instead of minutes: by a pattern, what replaces it."""
SLOW = pytest.mark.skipif(not FULL, reason="Prometheus has to see what was before: about a minute")


def fetched(address):
    with urllib.request.urlopen(f"http://{address}", timeout=10) as answer:
        return answer.read().decode()


def started(stack, command, folder, **variables):
    """A process that is ended with the block."""
    said = stack.enter_context((folder / f"{os.path.basename(command[0])}.log").open("w"))
    process = subprocess.Popen(command, cwd=folder, env=os.environ | variables, stdout=said, stderr=said)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def watched(tmp_path):
    """A site on three nodes, with four workers, and a Prometheus that scrapes it and has our alerts, made shorter."""
    if not shutil.which("prometheus"):
        pytest.skip("Prometheus is not installed")
    (tmp_path / "counts").mkdir()
    alerts = (CHECKOUT / "docs/monitoring/alerts.yml").read_text()
    for pattern, shorter in SHORTER.items():
        alerts, found = re.subn(pattern, shorter, alerts)
        assert found, pattern
    (tmp_path / "alerts.yml").write_text(alerts)
    (tmp_path / "jobs.prom").touch()
    with ExitStack() as stack:
        nodes = stack.enter_context(LocalFleet(3))
        network = stack.enter_context(FaultProxy(nodes.addresses[0]))
        location = [network.address, *nodes.addresses[1:]]
        (tmp_path / "project.py").write_text(PROJECT.format(location=location))
        (tmp_path / "site_on_four.py").write_text(SITE)
        site, prometheus = free_port(), free_port()
        gunicorn = [sys.executable, "-m", "gunicorn", "-w", "4", "-b", f"127.0.0.1:{site}", "site_on_four:application"]
        variables = {
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'manager'}:{tmp_path}",
            "XDG_STATE_HOME": str(tmp_path),
        }
        counts = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counts")}
        started(stack, [*gunicorn, "--no-control-socket"], tmp_path, **variables, **counts)
        (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=site))
        storage = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        started(stack, ["prometheus", *storage, f"--web.listen-address=127.0.0.1:{prometheus}"], tmp_path)
        watched = Watched(nodes, network, f"127.0.0.1:{site}", f"127.0.0.1:{prometheus}", tmp_path, variables)
        assert until(lambda: watched.answers(watched.site) and watched.answers(watched.prometheus + "/-/ready"))
        yield watched


class Watched(NamedTuple):
    """A site and its Prometheus, by their addresses."""

    nodes: LocalFleet
    network: FaultProxy
    """Before the first node."""
    site: str
    prometheus: str
    folder: Path
    variables: dict[str, str]
    """Of the project."""

    def answers(self, address):
        try:
            return bool(fetched(address))
        except OSError:
            return False

    def asked(self, question):
        return json.loads(fetched(f"{self.prometheus}/api/v1/{question}"))["data"]

    def visited_until(self, condition, seconds=120, page=""):
        """Whether a condition is met while visitors come; which of the workers takes them is the kernel's choice."""
        return until(lambda: (fetched(f"{self.site}/{page}"), condition())[1], seconds)

    def firing(self, *names):
        """Which of these alerts fire."""
        return {alert["labels"]["alertname"] for alert in self.asked("alerts")["alerts"]} & set(names)

    def admin(self, *arguments):
        """A command of the project, running."""
        command = [sys.executable, "-m", "dcache_manager", *arguments]
        variables = os.environ | self.variables
        return subprocess.Popen(command, cwd=self.folder, env=variables, stdout=subprocess.PIPE, text=True)

    def job_seen(self):
        """What `dcache-admin metrics` says of the job under way, once a timer has written it where Prometheus reads."""
        with self.admin("metrics") as command:
            said = command.communicate()[0]
        (self.folder / "jobs.new").write_text(said)
        (self.folder / "jobs.new").replace(self.folder / "jobs.prom")
        return re.findall(r"^dcache_job_silent_seconds.*running.*$", said, re.MULTILINE)


def test_four_workers(watched):
    """What four workers of gunicorn count, Prometheus sees as one site's: each page's miss, once."""
    pages = 1
    for _ in range(200):
        fetched(watched.site)
        pages += 1
    query = "query?query=sum(dcache_keys_total%7Boutcome=%22miss%22%7D)"

    def seen():
        return [int(float(one["value"][1])) for one in watched.asked(query)["result"]]

    def counted():
        nonlocal pages
        pages += 1  # A worker hands on what it counted with its next call.
        return bool(found := seen()) and found[0] >= 201

    assert watched.visited_until(counted)
    assert seen()[0] <= pages


def test_alerts(watched):
    """A site that is well fires none of these alerts; a dead node fires its own, two of three that of a lost majority
    too."""

    def firing():
        return watched.firing("CacheNodeDown", "CacheWithoutMajority")

    def healthy():
        targets = watched.asked("targets?state=active")["activeTargets"]
        return [target["health"] for target in targets] == ["up", "up"]

    assert watched.visited_until(lambda: healthy() and not firing())
    watched.nodes.nodes[2].kill()
    assert watched.visited_until(lambda: "CacheNodeDown" in firing())
    assert "CacheWithoutMajority" not in firing()
    watched.nodes.nodes[1].kill()
    assert watched.visited_until(lambda: "CacheWithoutMajority" in firing())


@SLOW
def test_alerts_of_a_busy_site(watched):
    """Keys that are gone, replies to writes that are lost, and a resize that hangs: each fires its own alert, and none
    fires before."""
    three = "CacheHitRatioFallen", "CacheWritesLost", "CacheJobStuck"
    before = "query?query=sum(rate(dcache_keys_total%7Boutcome=%22hit%22%7D%5B1d%5D%20offset%208s))%20%3E%200"
    fetched(f"{watched.site}/fill")
    assert watched.visited_until(lambda: watched.asked(before)["result"], page="read")
    assert not watched.firing(*three)
    fetched(f"{watched.site}/clear")
    assert watched.visited_until(lambda: watched.firing(*three) == {"CacheHitRatioFallen"}, page="read")

    stored = count(1)
    watched.network.tamper(lambda reply: CLOSE if reply.startswith(b"HD") and not next(stored) % 4 else None)
    assert watched.visited_until(lambda: "CacheWritesLost" in watched.firing(*three), page="write")
    watched.network.heal()
    assert "CacheJobStuck" not in watched.firing(*three)

    fetched(f"{watched.site}/fill")
    # At this rate it takes minutes.
    with (
        LocalNode() as joining,
        watched.admin(*f"rebalance run --add {joining.address} --max-rate 1 --yes".split()) as run,
    ):
        try:
            assert until(watched.job_seen)
            run.send_signal(signal.SIGSTOP)
            assert until(lambda: (watched.job_seen(), "CacheJobStuck" in watched.firing(*three))[1])
        finally:
            run.kill()
