"""Forks that Python is not told of: uWSGI's preforking, extensions in C."""

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalNode
from django_dcache.transport import forks
from support.checkout import CHECKOUT

CHILDREN = 4
SITE = """
import os, sys
sys.path[:0] = [{root!r}, {root!r} + "/manager"]
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__,
    CACHES={{"default": {{"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": [{address!r}]}}}},
)
import django
django.setup()
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

def view(request):
    user = request.GET["user"]
    read = [cache.get("user:" + user) for _ in range(40)]
    return HttpResponse("".join(value for value in read if value not in (None, "secret of " + user)) or "ok")

urlpatterns = [path("", view)]
for user in range(8):
    assert cache.set(f"user:{{user}}", f"secret of {{user}}", None)
application = get_wsgi_application()
"""

PATIENT = {"OPTIONS": {"timeout": 20.0, "freshness": 600.0}}
"""On a busy machine nothing fails for want of time."""


def forked(work):
    """The outcome of `work()` in a child that is made by C, as JSON."""
    ours, theirs = os.pipe()
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        try:
            os.write(theirs, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    return child, ours


def outcome(forked):
    child, pipe = forked
    with os.fdopen(pipe, "rb") as said:
        data = said.read()
    os.waitpid(child, 0)
    return json.loads(data)


@pytest.mark.parametrize("replicas", [1, 2])
def test_children_share_no_connection(fleet, replicas):
    """Children that C made, and their parent, all of them reading at once, get no reply but their own."""
    cache = DistributedCache(fleet(2).addresses, {"OPTIONS": {"replicas": replicas}})
    for number in range(CHILDREN + 1):
        assert cache.set(f"user:{number}", f"secret of {number}", None)
    for _ in range(8):
        begin, go = os.pipe()  # All read at the same moment: when its last writing end is closed.

        def read(number, begin=begin, go=go):
            os.close(go)
            os.read(begin, 1)
            values = [cache.get(f"user:{number}") for _ in range(100)]
            return [value for value in values if value not in (None, f"secret of {number}")]

        children = [forked(lambda number=number: read(number)) for number in range(CHILDREN)]
        wrong = read(CHILDREN)
        assert not wrong and not any(outcome(child) for child in children)
        os.close(begin)
    cache.fleet.close()


@pytest.mark.parametrize("world", ["sync", "async"])
def test_children_of_children(fleet, world):
    """A child that C made makes another, and all generations ask at once, on threads or on loops of their own."""
    cache = DistributedCache(fleet(2).addresses, PATIENT)
    for number in range(3):
        assert cache.set(f"user:{number}", f"secret of {number}", None)

    def read(number):
        async def on_a_loop():
            return [await cache.aget(f"user:{number}") for _ in range(100)]

        values = asyncio.run(on_a_loop()) if world == "async" else [cache.get(f"user:{number}") for _ in range(100)]
        return [value for value in values if value != f"secret of {number}"]

    def child():
        grandchild = forked(lambda: read(2))
        return read(1) + outcome(grandchild)

    for _ in range(4):
        ours = forked(child)
        assert read(0) == [] == outcome(ours)
    cache.fleet.close()


def test_a_lock_that_a_thread_of_the_parent_held(fleet):
    """A child that C made does not wait for a lock whose holder it does not have."""
    cache = DistributedCache(fleet(1).addresses, PATIENT)
    assert cache.set("key", 1)
    with cache.fleet._proving, cache.fleet._learning:
        cache.fleet.renew_at = float("-inf")
        child = forked(lambda: cache.get("key"))
    assert outcome(child) == 1
    cache.fleet.close()


def test_a_fork_in_the_middle_of_an_operation(fleet):
    """What an operation calls may fork: the child ends it over connections of its own."""
    cache = DistributedCache(fleet(1).addresses, PATIENT)
    parent, children = os.getpid(), []

    def load():
        children.append(os.fork())
        return os.getpid()

    value = cache.get_or_set("key", load, None)
    if os.getpid() != parent:
        pools = cache.fleet.transport.pools().values()
        ours = all(connection.process == os.getpid() for pool in pools for connection in pool.idle)
        os._exit(0 if ours and value in (parent, os.getpid()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert cache.get("key") in (parent, children[0])
    cache.fleet.close()


def test_each_handler_runs_once_in_a_child():
    """However often a child looks, what belongs to its parent is left once."""
    calls = []
    handler = forks.in_child(lambda: calls.append(os.getpid()))
    try:
        child = forked(lambda: [forks.look(), forks.look(), len(calls)][-1])
        assert outcome(child) == 1 and not calls
    finally:
        forks._handlers.remove(handler)


@pytest.mark.skipif(not shutil.which("uwsgi", path=os.path.dirname(sys.executable)), reason="needs uwsgi")
def test_uwsgi(tmp_path, node: LocalNode):
    """uWSGI forks its workers without telling Python: of 96 visitors at once none gets another one's value."""
    (tmp_path / "site_of_uwsgi.py").write_text(SITE.format(root=str(CHECKOUT), address=node.address))
    wrong = []
    for _ in range(4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            *(os.path.join(os.path.dirname(sys.executable), "uwsgi"), "--http-socket", f"127.0.0.1:{port}"),
            *("--master", "--processes", "4", "--wsgi-file", "site_of_uwsgi.py", "--need-app", "--disable-logging"),
        ]
        server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            assert any("spawned uWSGI worker 4" in line for line in server.stderr)

            def visit(user, port=port):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/?user={user % 8}", timeout=20) as response:
                    return response.read().decode()

            with ThreadPoolExecutor(8) as visitors:
                wrong += [said for said in visitors.map(visit, range(24)) if said != "ok"]
        finally:
            server.send_signal(signal.SIGINT)  # With its workers.
            server.wait()
            server.stderr.close()
    assert not wrong
