"""What a fleet of many nodes costs each of its processes: at start, in memory, in the state that keepers hold."""

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import TypeVar

from django_dcache.model.placement import Placement
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.model.view import View

from .backends import OURS
from .scenarios import Terms
from .servers import running
from .table import Row, Table

FLEETS = (3, 10, 50, 200, 1000)
PROCESSES_STARTED = 15
Result = TypeVar("Result")


def scale(terms: Terms) -> Iterator[Table]:
    """3 to 1,000 nodes on paper; import time and memory of a process with 50."""
    yield Table("What a view of the fleet takes", {f"{count:,} nodes": _paper(count) for count in FLEETS})
    with running(50) as servers:
        runs = [_process(list(servers.memcached)) for _ in range(PROCESSES_STARTED)]
    least = {column: min(run[column] for run in runs) for column in runs[0]}
    yield Table("A process with 50 nodes", {OURS: least})


def _paper(count: int) -> Row:
    nodes = tuple(Node.at(f"10.0.{number // 250}.{number % 250 + 1}:11211") for number in range(count))
    topology = Topology(1, Layout(nodes))
    names = [b":1:item:%d" % number for number in range(1000)]
    built, placement = _timed(lambda: Placement(topology))
    tracemalloc.start()
    kept = Placement(topology)
    state = FleetState(topology)
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    view = View("default", state, placement, time.monotonic, time.time, 1.5)
    placed, _ = _timed(lambda: [view.place(name) for name in names])
    del kept
    return {
        "points": 160.0 * count,
        "built, ms": built * 1e3,
        "memory, KB": memory / 1024,
        "a key placed, µs": placed / len(names) * 1e6,
        "state document, bytes": float(len(state.encode())),
    }


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The least seconds of some calls, and what the last one returned."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def _process(nodes: list[str]) -> Row:
    """Measured in a process of its own, which starts where a Django process with another cache stands."""
    child = [sys.executable, "-c", _CHILD, json.dumps(nodes)]
    measured: Row = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    return measured


_CHILD = """
import json, resource, sys, time
import django
from django.conf import settings
settings.configure(CACHES={})
django.setup()
import asgiref.sync, django.core.cache.backends.memcached

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1024

before, began = resident(), time.perf_counter()
import django_dcache.backend
imported, seconds = resident(), time.perf_counter() - began
cache = django_dcache.backend.DistributedCache(json.loads(sys.argv[1]), {"OPTIONS": {"fleet": "scale"}})

def read(first, last):
    for number in range(first, last):
        cache.get(f"item:{number}")

read(0, 1000)
connected = resident()
read(1000, 9000)
print(json.dumps({
    "import, ms": seconds * 1e3,
    "code, KB": imported - before,
    "fleet, 50 connections, 1,000 keys known, KB": connected - imported,
    "8,000 keys more, KB": resident() - connected,
}))
"""
