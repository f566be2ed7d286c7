"""A process that is busy or stopped while its nodes are well: what it did counts, and nothing of others is lost."""

import importlib.util
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT

OTHERS = {f"other-{number}": number for number in range(1000)}
PREAMBLE = """
import os, sys, time
sys.path[:0] = [{root!r}, {root!r} + "/manager", {root!r} + "/tests"]
os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
import django
django.setup()
from django_dcache.backend import DistributedCache
cache = DistributedCache({addresses!r}, {{"OPTIONS": {{"replicas": 2}}}})
cache.set_many({{f"own-{{number}}": 0 for number in range(500)}}, None)

def busy():
    until = time.perf_counter() + 0.4
    while time.perf_counter() < until:
        pass
"""
GREENLETS = (
    "from gevent import monkey; monkey.patch_all()\nimport gevent"
    + PREAMBLE
    + """
for work in (
    lambda: cache.set_many({{f"own-{{number}}": 1 for number in range(200)}}, None),
    lambda: cache.delete_many([f"own-{{number}}" for number in range(200)]),
    lambda: [cache.set(f"own-{{number}}", 2, None) for number in range(50)],
):
    gevent.joinall([gevent.spawn(work), gevent.spawn(busy)], raise_error=True)
"""
)
WORKER = (
    PREAMBLE
    + """
print("ready", flush=True)
turn = 0
while True:
    turn += 1
    cache.set_many({{f"own-{{number}}": turn for number in range(500)}}, None)
"""
)
THREADS = (
    PREAMBLE
    + """
import json, threading
text = json.dumps([[number] * 10 for number in range(300_000)])
for _ in range(3):
    reader = threading.Thread(target=json.loads, args=(text,))  # It keeps the lock of the interpreter all the while.
    reader.start()
    cache.set_many({{f"own-{{number}}": 1 for number in range(300)}}, None)
    reader.join()
"""
)
LOOP = (
    PREAMBLE
    + """
import asyncio

async def main():
    for number in range(3):
        writes = [asyncio.create_task(cache.aset(f"own-{{number}}", 2, None)) for number in range(200)]
        writes.append(asyncio.create_task(cache.adelete_many([f"own-{{number}}" for number in range(200, 400)])))
        for _ in range(number):
            await asyncio.sleep(0)
        busy()
        await asyncio.gather(*writes)

asyncio.run(main())
"""
)
SITE = (
    PREAMBLE
    + """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

def page(request):
    number = request.GET["number"]
    if number == "busy":
        busy()
        return HttpResponse("ok")
    cache.set(f"page-{{number}}", number, None)
    return HttpResponse("ok" if cache.get(f"page-{{number}}") in (number, None) else "wrong")

urlpatterns = [path("", page)]
settings.ROOT_URLCONF = __name__
settings.ALLOWED_HOSTS = ["*"]
settings.MIDDLEWARE = []
application = get_wsgi_application()
"""
)


@pytest.fixture
def nodes(fleet):
    """Three nodes with a thousand values of others."""
    nodes = fleet(3)
    cache = DistributedCache(nodes.addresses, {"OPTIONS": {"replicas": 2, "timeout": 5.0}})
    assert cache.set_many(OTHERS, None) == []
    cache.fleet.close()
    return nodes


def left(nodes: LocalFleet) -> int:
    """How many of the others' values another process can read."""
    cache = DistributedCache(nodes.addresses, {"OPTIONS": {"replicas": 2, "timeout": 5.0, "idle_connections": 7}})
    found = cache.get_many(OTHERS)
    cache.fleet.close()
    return sum(found.get(key) == value for key, value in OTHERS.items())


def script(text: str, nodes: LocalFleet) -> str:
    return text.format(root=str(CHECKOUT), addresses=nodes.addresses)


def test_a_greenlet_that_computes(nodes):
    """While one greenlet computes for 0.4 s, others write: at least 99 % of what others stored is left."""
    pytest.importorskip("gevent")
    subprocess.run([sys.executable, "-c", script(GREENLETS, nodes)], cwd=CHECKOUT, check=True, timeout=60)
    assert left(nodes) >= 0.99 * len(OTHERS)


@pytest.mark.parametrize("text", [THREADS, LOOP], ids=["a thread", "a coroutine"])
def test_one_that_computes_beside_others(nodes, text):
    """While a thread keeps the interpreter's lock, or a coroutine its loop, others write: nothing of others is lost."""
    subprocess.run([sys.executable, "-c", script(text, nodes)], cwd=CHECKOUT, check=True, timeout=120)
    assert left(nodes) >= 0.99 * len(OTHERS)


def test_a_worker_that_is_stopped(nodes):
    """A process that is stopped for half a second, again and again, in the middle of its writes costs nobody else."""
    command = [sys.executable, "-c", script(WORKER, nodes)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "ready\n"
        for _ in range(4):
            worker.send_signal(signal.SIGSTOP)
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(0.5)
            worker.send_signal(signal.SIGCONT)
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(0.4)
        worker.kill()
    assert left(nodes) >= 0.99 * len(OTHERS)


@pytest.mark.skipif(
    not (importlib.util.find_spec("gunicorn") and importlib.util.find_spec("gevent")),
    reason="needs gunicorn and gevent",
)
def test_gunicorn_with_gevent(nodes, tmp_path):
    """Requests of a gevent worker, some of which compute: none gets a wrong value, and what others stored is left."""
    (tmp_path / "site_of_gunicorn.py").write_text(script(SITE, nodes))
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", "127.0.0.1:0", "--log-level", "info"]
    with subprocess.Popen(
        [*command, "site_of_gunicorn:application"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            line = next(line for line in server.stderr if "Listening at" in line)
            address = line.split("Listening at: ")[1].split()[0]
            next(line for line in server.stderr if "Booting worker" in line)

            def visit(number):
                with urllib.request.urlopen(f"{address}/?number={number}", timeout=30) as response:
                    return response.read().decode()

            with ThreadPoolExecutor(10) as visitors:
                said = list(visitors.map(visit, [number if number % 20 else "busy" for number in range(100)]))
        finally:
            server.terminate()
            server.communicate()
    assert set(said) == {"ok"} and left(nodes) >= 0.99 * len(OTHERS)
