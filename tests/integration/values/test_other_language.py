"""A service in another language shares the cache: it finds the node of a key, reads our values, and we read its own."""

import json
import os
import shutil
import subprocess
from contextlib import closing

import pytest

from django_dcache.backend import DistributedCache
from support.checkout import CHECKOUT

CLIENT = CHECKOUT / "tests/support/other_language.js"
LIBRARY = "memjs@1.3.2"
OURS = {
    **{
        f"product:{number}": {"id": number, "name": f"Mühle {number}", "tags": ["a", None, 1.5]}
        for number in range(200)
    },
    "text": "Zoë ✓",
    "count": 41,
    "below zero": -3,
    "nothing": None,
}


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A folder with memcached's client for Node."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder), LIBRARY]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if run.returncode:
        pytest.skip(f"{LIBRARY} can't be had: {run.stderr.strip()[-200:]}")
    return folder / "node_modules"


def theirs(modules, nodes, write, read):
    """What the other client reads, after it has written."""
    asked = json.dumps({"nodes": nodes, "head": "shop:1:", "write": write, "read": list(read)})
    environment = os.environ | {"NODE_PATH": str(modules)}
    run = subprocess.run(["node", CLIENT], input=asked, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_both_ways(modules, fleet):
    """Node reads what Django stored and Django reads what Node stored, each key on the node that both look on."""
    nodes = fleet(3).addresses
    options = {"serializer": "json", "timeout": 5.0, "connect_timeout": 5.0}
    cache = DistributedCache(nodes, {"OPTIONS": options, "KEY_PREFIX": "shop"})
    ours = {key.replace(" ", "-"): value for key, value in OURS.items()}
    their = {f"theirs:{key}": value for key, value in ours.items()}
    with closing(cache.fleet):
        assert cache.set_many(ours) == []
        found = theirs(modules, nodes, their, ours)
        assert {key: found.get(key) for key in ours} == ours
        assert cache.get_many(their) == their
        assert cache.incr("theirs:count") == 42 and theirs(modules, nodes, {}, ["theirs:count"]) == {"theirs:count": 42}
