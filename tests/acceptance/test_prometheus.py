"""A site with several workers, scraped by a real Prometheus."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT
from support.waiting import until

SITE = """
import os
from django.conf import settings
settings.configure(
    SECRET_KEY="tests", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
    CACHES={{"default": {{"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": {location!r},
                          "OPTIONS": {{"fleet": "shop"}}}}}},
)
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django_dcache.metrics import prometheus
prometheus.install()

def page(request):
    cache.get("absent")
    return HttpResponse(str(os.getpid()))

urlpatterns = [path("", page), path("metrics", prometheus.view)]
application = get_wsgi_application()
"""
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: site
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


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
    """A site on three nodes, with four workers, and a Prometheus that scrapes it and has our alerts; what they wait for
    before they fire is left out."""
    if not shutil.which("prometheus"):
        pytest.skip("Prometheus is not installed")
    (tmp_path / "counts").mkdir()
    alerts = (CHECKOUT / "docs/monitoring/alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(re.sub(r"(?m)^ +for: .*\n", "", alerts))
    with ExitStack() as stack:
        nodes = stack.enter_context(LocalFleet(3))
        (tmp_path / "site_on_four.py").write_text(SITE.format(location=nodes.addresses))
        site, prometheus = free_port(), free_port()
        gunicorn = [sys.executable, "-m", "gunicorn", "-w", "4", "-b", f"127.0.0.1:{site}", "site_on_four:application"]
        counts = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counts"), "PYTHONPATH": f"{CHECKOUT}:{tmp_path}"}
        started(stack, [*gunicorn, "--no-control-socket"], tmp_path, **counts)
        (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=site))
        storage = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        started(stack, ["prometheus", *storage, f"--web.listen-address=127.0.0.1:{prometheus}"], tmp_path)
        watched = Watched(nodes, f"127.0.0.1:{site}", f"127.0.0.1:{prometheus}")
        assert until(lambda: watched.answers(watched.site) and watched.answers(watched.prometheus + "/-/ready"))
        yield watched


class Watched(NamedTuple):
    """A site and its Prometheus, by their addresses."""

    nodes: LocalFleet
    site: str
    prometheus: str

    def answers(self, address):
        try:
            return bool(fetched(address))
        except OSError:
            return False

    def asked(self, question):
        return json.loads(fetched(f"{self.prometheus}/api/v1/{question}"))["data"]

    def visited_until(self, condition, seconds=120):
        """Whether a condition is met while visitors come; which of the workers takes them is the kernel's choice."""
        return until(lambda: (fetched(self.site), condition())[1], seconds)


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
        found = {alert["labels"]["alertname"] for alert in watched.asked("alerts")["alerts"]}
        return found & {"CacheNodeDown", "CacheWithoutMajority"}

    def healthy():
        targets = watched.asked("targets?state=active")["activeTargets"]
        return [target["health"] for target in targets] == ["up"]

    assert watched.visited_until(lambda: healthy() and not firing())
    watched.nodes.nodes[2].kill()
    assert watched.visited_until(lambda: "CacheNodeDown" in firing())
    assert "CacheWithoutMajority" not in firing()
    watched.nodes.nodes[1].kill()
    assert watched.visited_until(lambda: "CacheWithoutMajority" in firing())
