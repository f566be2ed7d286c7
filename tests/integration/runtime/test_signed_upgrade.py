"""From a release that signs no state to this one and back, with processes of both on the same nodes."""

import io
import json
import subprocess
import sys
import tarfile
from contextlib import ExitStack, contextmanager

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.flows.resize import new_fence
from django_dcache.model.state import state_key
from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT

OLDER = "f7962bf"
"""The last commit whose states are not signed."""
OPTIONS = {"timeout": 5.0, "connect_timeout": 5.0, "request_budget": 60.0, "freshness": 10.0, "eject_after": 0.0}
PROCESS = """
import json, sys
sys.path.insert(0, {root!r})
from django.conf import settings
settings.configure(SECRET_KEY="tests", CACHES={{}})
from django_dcache.backend import DistributedCache
cache = DistributedCache({addresses!r}, {{"OPTIONS": {options!r}}})
for line in sys.stdin:
    method, *arguments = json.loads(line)
    cache.fleet.doubt()
    print(json.dumps([getattr(cache, method)(*arguments), cache.fleet.proven]), flush=True)
"""


class Older:
    """A process of the older release. Each answer is (what the method returned, whether its view is proven)."""

    def __init__(self, root, addresses):
        code = PROCESS.format(root=str(root), addresses=addresses, options=OPTIONS)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", code], text=True, cwd=root, **pipes)

    def __call__(self, method, *arguments):
        self.process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


@pytest.fixture
def older(tmp_path):
    """Starts a process of the older release for these addresses."""
    archive = subprocess.run(["git", "archive", OLDER, "django_dcache"], cwd=CHECKOUT, capture_output=True)
    if archive.returncode:
        pytest.skip(f"commit {OLDER} is not in this clone")
    tarfile.open(fileobj=io.BytesIO(archive.stdout)).extractall(tmp_path, filter="data")

    @contextmanager
    def start(addresses):
        process = Older(tmp_path, addresses)
        try:
            yield process
        finally:
            process.end()

    return start


@pytest.fixture
def nodes():
    with LocalFleet(3) as nodes:
        yield nodes


@pytest.fixture
def process(nodes):
    """Makes what a process of this release has of the fleet: `process(sign_state)`."""
    with ExitStack() as stack:

        def made(sign_state):
            options = OPTIONS | {"sign_state": sign_state}
            cache = DistributedCache(nodes.addresses, {"OPTIONS": options})
            stack.callback(cache.fleet.close)
            return cache

        yield made


def documents(nodes):
    return [node.ask(b"get %b\r\n" % state_key("default")).split(b"\r\n")[1] for node in nodes.nodes]


def signed(nodes):
    return [document.startswith(b'{"format":3,') for document in documents(nodes)]


def agree(*caches):
    """Whether each of them proves its view anew and finds what the older release stored."""
    for cache in caches:
        cache.fleet.doubt()
        if cache.get("a") != 1 or not cache.fleet.proven:
            return False
    return True


def test_there_and_back(nodes, process, older):
    """In each step old and new processes prove their views and read each other's values; nothing is lost on the way."""
    with older(nodes.addresses) as old:
        assert old("set", "a", 1) == (True, True)
        off = process("off")
        assert agree(off) and off.set("b", 2)
        off.fleet.run(new_fence)
        assert old("get", "b") == (2, True) and not any(signed(nodes))
    on = process("on")
    assert agree(on) and all(signed(nodes)) and agree(off)
    off.fleet.run(new_fence)
    assert agree(off, on) and all(signed(nodes))
    required = process("required")
    assert agree(required, on, off)
    # And back.
    off.fleet.run(new_fence)
    assert not any(signed(nodes))
    with older(nodes.addresses) as old:
        assert old("get", "a") == (1, True) and old("get", "b") == (2, True)
        assert old("set", "c", 3) == (True, True) and off.get("c") == 3


def test_too_early(nodes, process, older):
    """An older process that meets signed states leaves them as they are, and so does one that requires signatures and
    meets unsigned ones; "on" mends that."""
    with older(nodes.addresses) as old:
        assert old("set", "a", 1) == (True, True)
        required, held = process("required"), documents(nodes)
        assert required.get("a") is None and not required.fleet.proven and documents(nodes) == held
        assert agree(process("on"))
        held = documents(nodes)
        assert all(signed(nodes)) and documents(nodes) == held
        assert agree(required)
        required.fleet.run(new_fence)
        held = documents(nodes)
        old("get", "a")
        assert documents(nodes) == held
