"""Metrics for Prometheus: what calls come to, what is known of nodes, and never a key."""

import asyncio
import os
import shutil
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from django_dcache.backend import DistributedCache
from django_dcache.metrics import recording
from django_dcache.metrics.prometheus import Metrics
from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT
from support.measured import methods_restored
from support.waiting import until

OPTIONS = {"fleet": "shop", "eject_after": 0, "timeout": 2.0, "request_budget": 20.0}


@pytest.fixture
def registry():
    """A registry, into which every cache is measured for the time of the test."""
    with methods_restored():
        registry = CollectorRegistry()
        recording.install(Metrics(registry).recorder)
        yield registry


@pytest.fixture
def cache(nodes, registry):
    """A cache on the nodes, that has settled."""
    cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS})
    assert until(lambda: cache.clear() and cache.set("settled", 1))
    return cache


def number(registry, name, **labels):
    """What the registry shows, after a scrape."""
    generate_latest(registry)
    return registry.get_sample_value(f"dcache_{name}", {"fleet": "shop"} | labels) or 0


def grown(registry, call, name, **labels):
    """By how much a number grows by a call."""
    before = number(registry, name, **labels)
    call()
    return number(registry, name, **labels) - before


CALLS = [
    ("get", "hit", lambda cache: cache.get("there")),
    ("get", "miss", lambda cache: cache.get("absent", "default")),
    ("get", "hit", lambda cache: cache.get(key="none", default=5)),
    ("get", "hit", lambda cache: cache.has_key("there")),
    ("get", "miss", lambda cache: "absent" in cache),
    ("get", "hit", lambda cache: cache.get_many(["there"])),
    ("get_many", "ok", lambda cache: cache.get_many(iter(["there", "absent"]))),
    ("set", "ok", lambda cache: cache.set("there", 1)),
    ("touch", "no", lambda cache: cache.touch("absent", 1)),
    ("add", "no", lambda cache: cache.add("there", 1)),
    ("add", "ok", lambda cache: cache.add("new", 1)),
    ("delete", "ok", lambda cache: cache.delete("there")),
    ("set_many", "ok", lambda cache: cache.set_many({"there": 1, "more": 2})),
    ("incr", "ok", lambda cache: cache.decr("there", -1)),
    ("incr", "error", lambda cache: pytest.raises(ValueError, cache.incr, "absent")),
    ("get_or_set", "ok", lambda cache: cache.get_or_set("there", 5)),
    ("get", "hit", lambda cache: asyncio.run(cache.aget("there"))),
    ("get_many", "ok", lambda cache: asyncio.run(cache.aget_many(["there", "absent"]))),
    ("set", "ok", lambda cache: asyncio.run(cache.aset("there", 1))),
]


@pytest.mark.parametrize(("operation", "outcome", "call"), CALLS)
def test_calls(registry, cache, operation, outcome, call):
    """Each call is one operation with its outcome and its duration, whichever way it is made."""
    cache.set_many({"there": 1, "none": None})
    cache.delete("new")
    labels = {"operation": operation, "outcome": outcome}
    assert grown(registry, lambda: call(cache), "operations_total", **labels) == 1
    assert grown(registry, lambda: call(cache), "operation_seconds_count", operation=operation) == 1
    assert number(registry, "operation_seconds_bucket", operation=operation, le="+Inf") == number(
        registry, "operation_seconds_count", operation=operation
    )
    assert number(registry, "operation_seconds_sum", operation=operation) > 0


def test_keys(registry, cache):
    """Hits and misses are counted by key, of one and of many."""
    cache.set_many({"a": 1, "b": 2})
    assert grown(registry, lambda: cache.get_many(["a", "b", "c"]), "keys_total", outcome="hit") == 2
    assert grown(registry, lambda: cache.get_many(["a", "b", "c"]), "keys_total", outcome="miss") == 1
    assert grown(registry, lambda: (cache.get("a"), cache.get("c")), "keys_total", outcome="hit") == 1


def test_no_key_is_shown(registry, cache):
    """No label holds a key."""
    cache.set("visitor-4711", 1)
    cache.get_many(["visitor-4711", "visitor-4712"])
    pytest.raises(ValueError, cache.incr, "visitor-4713")
    assert b"visitor" not in generate_latest(registry)


def test_a_node_that_is_away(registry):
    """A lost node is shown as such, with the cause of its failures; the state too, when no majority is left."""
    with LocalFleet(3) as nodes:
        cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | {"timeout": 0.2}})
        assert until(lambda: cache.set("key", 1))
        lost = nodes.addresses[1]
        assert number(registry, "node_up", node=lost) == 1
        assert number(registry, "unproven_seconds") == 0  # However long ago it was proven: it may not have been used.
        nodes.nodes[1].kill()
        assert until(lambda: (cache.get_many(map(str, range(9))), number(registry, "node_up", node=lost) == 0)[1])
        assert number(registry, "node_failures_total", node=lost, cause="nothing listens there")
        assert number(registry, "events_total", event="nodes_lost") >= 1
        nodes.nodes[2].kill()
        assert until(lambda: (cache.get("key"), number(registry, "unproven_seconds") > 0.5)[1])


def test_a_fork_tells_its_own(nodes, tmp_path):
    """Several processes are shown as one: what a parent did before it forked is told once, and by the parent."""
    code = f"""
import os, sys
from django.conf import settings
settings.configure(SECRET_KEY="tests", CACHES={{}})
from django_dcache.metrics import prometheus
prometheus.install()
from django_dcache.backend import DistributedCache
cache = DistributedCache({nodes.addresses!r}, {{"OPTIONS": {OPTIONS!r}}})
for _ in range(5):
    cache.get("absent")
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        for _ in range(10):
            cache.get("absent")
        prometheus.install().hand_on()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print(prometheus.view(None).content.decode())
"""
    variables = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True, check=True)
    assert 'dcache_operations_total{fleet="shop",operation="get",outcome="miss"} 45.0' in said.stdout
    assert 'dcache_keys_total{fleet="shop",outcome="miss"} 45.0' in said.stdout


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with the package prometheus")
def test_promtool_reads_it(registry, cache):
    """Prometheus's own tool finds no fault with what is shown."""
    cache.get("absent")
    subprocess.run(["promtool", "check", "metrics"], input=generate_latest(registry), check=True)


@pytest.mark.timing
def test_what_it_costs(cache, registry):
    """To be measured takes a get less than 1.5 µs."""
    from timeit import repeat

    recorder = recording.Recorder(list)

    def plain(self, key, default=None, version=None):
        return 1

    def seconds(get):
        return min(repeat(lambda: get(cache, "key"), number=2000, repeat=25)) / 2000

    assert seconds(recording._get(plain, recorder)) - seconds(plain) < 1.5e-6


def test_off_is_off():
    """Without `install()` no module of the metrics is imported with the cache, and its methods are its own."""
    code = "import sys, django_dcache.backend as b; sys.exit(any('metrics' in m for m in sys.modules if 'dcache' in m))"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(CHECKOUT)}, check=True)
    assert not hasattr(DistributedCache.get, "__wrapped__")
