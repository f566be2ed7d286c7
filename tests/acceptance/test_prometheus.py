"""A site with several workers, scraped by a real Prometheus."""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack

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
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: site
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def fetched(address):
    with urllib.request.urlopen(f"http://127.0.0.1:{address}", timeout=10) as answer:
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


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")
def test_four_workers(tmp_path):
    """What four workers of gunicorn count, Prometheus sees as one site's: each page's miss, once."""
    (tmp_path / "counts").mkdir()
    with ExitStack() as stack:
        nodes = stack.enter_context(LocalFleet(2))
        (tmp_path / "site_on_four.py").write_text(SITE.format(location=nodes.addresses))
        site, here = free_port(), free_port()
        gunicorn = [sys.executable, "-m", "gunicorn", "-w", "4", "-b", f"127.0.0.1:{site}", "site_on_four:application"]
        counts = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counts"), "PYTHONPATH": f"{CHECKOUT}:{tmp_path}"}
        started(stack, [*gunicorn, "--no-control-socket"], tmp_path, **counts)
        (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=site))
        storage = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{here}"]
        started(stack, ["prometheus", *storage], tmp_path)

        def answers(address):
            try:
                return bool(fetched(address))
            except OSError:
                return False

        assert until(lambda: answers(f"{site}/"))
        for _ in range(200):  # Which of the workers takes them is the kernel's choice.
            fetched(f"{site}/")
        assert until(lambda: answers(f"{here}/-/ready"))

        def seen():
            found = json.loads(fetched(f"{here}/api/v1/query?query=sum(dcache_keys_total%7Boutcome=%22miss%22%7D)"))
            return [int(float(one["value"][1])) for one in found["data"]["result"]]

        pages = 201

        def counted():
            nonlocal pages
            fetched(f"{site}/")  # A worker hands on what it counted with its next call.
            pages += 1
            return bool(found := seen()) and found[0] >= 201

        assert until(counted)
        assert seen()[0] <= pages
