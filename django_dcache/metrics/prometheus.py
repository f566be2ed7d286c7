"""Metrics for Prometheus. In `wsgi.py`, `asgi.py` or an AppConfig:

    from django_dcache.metrics import prometheus
    prometheus.install()

`prometheus.view` shows all that prometheus_client knows in this process, or of all processes where
PROMETHEUS_MULTIPROC_DIR is set; any other exporter does, too. Needs the extra `prometheus`.
"""

import atexit
import os
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

import prometheus_client as client
from django.http import HttpRequest, HttpResponse
from prometheus_client import multiprocess
from prometheus_client.registry import Collector

from ..transport import forks
from . import process
from .recording import BOUNDS, Recorder, Sum
from .recording import install as record

_FLEET = ["fleet"]
_lock = threading.Lock()
_installed: Recorder | None = None


class Metrics(Collector):
    """The sink of a recorder. Before a scrape of this process it takes what is left."""

    def __init__(self, registry: client.CollectorRegistry = client.REGISTRY):
        labels: Any = {"labelnames": [*_FLEET, "operation", "outcome"], "registry": registry}
        self.operations = client.Counter("dcache_operations", "Calls of the cache's methods.", **labels)
        labels["labelnames"] = [*_FLEET, "outcome"]
        self.keys = client.Counter("dcache_keys", "Keys that get and get_many asked for, hit or miss.", **labels)
        labels["labelnames"] = [*_FLEET, "operation"]
        seconds = "How long calls took, in seconds."
        self.seconds = client.Histogram("dcache_operation_seconds", seconds, buckets=BOUNDS, **labels)
        labels["labelnames"] = [*_FLEET, "event"]
        self.events = client.Counter("dcache_events", "What happened beside plain operations.", **labels)
        labels["labelnames"] = [*_FLEET, "node", "cause"]
        self.failures = client.Counter("dcache_node_failures", "Failures of nodes, by cause.", **labels)
        self.readings = {
            name: client.Gauge(
                f"dcache_{name}",
                text,
                [*_FLEET, "node"] if name.startswith("node_") else _FLEET,
                registry=registry,
                multiprocess_mode=_MODES.get(name, "livemax"),
            )
            for name, text in process.READINGS.items()
        }
        self._before: dict[Any, Counter[Any]] = {self.events: Counter(), self.failures: Counter()}
        self._shown: set[tuple[str, tuple[str, ...]]] = set()
        self.recorder = Recorder(self.add)
        registry.register(self)

    def add(self, sums: Iterable[tuple[str, str, str, Sum]]) -> None:
        for fleet, operation, outcome, (buckets, (seconds, found, missed)) in sums:
            calls = sum(buckets)
            self.operations.labels(fleet, operation, outcome).inc(calls)
            self.keys.labels(fleet, "hit").inc(calls if outcome == "hit" else found)
            self.keys.labels(fleet, "miss").inc(calls if outcome == "miss" else missed)
            histogram = self.seconds.labels(fleet, operation)
            # There is no public way to observe several values at once, and one by one takes ten times as long.
            histogram._sum.inc(seconds)
            for bucket, count in zip(histogram._buckets, buckets, strict=True):
                if count:
                    bucket.inc(count)
        self._follow(self.events, process.events())
        self._follow(self.failures, process.failures())
        shown: set[tuple[str, tuple[str, ...]]] = set()
        for reading in process.readings():
            where = tuple(filter(None, (reading.fleet, reading.node)))
            shown.add((reading.name, where))
            self.readings[reading.name].labels(*where).set(reading.number)
        for name, where in self._shown - shown:  # A node that has left the fleet.
            if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # Where nothing can be removed.
                self.readings[name].labels(*where).set(1 if name == "node_up" else 0)
            else:
                self.readings[name].remove(*where)
        self._shown = shown

    def _follow(self, metric: client.Counter, now: Counter[Any]) -> None:
        before, self._before[metric] = self._before[metric], now
        for labels, count in now.items():
            if count > before[labels]:
                metric.labels(*labels).inc(count - before[labels])

    def after_fork(self) -> None:
        """In a child: what happened before is the parent's to tell."""
        self._before = {self.events: process.events(), self.failures: process.failures()}

    def collect(self) -> tuple[()]:
        """Nothing of its own."""
        self.recorder.hand_on()
        return ()

    describe = collect


_MODES: dict[str, Any] = {"node_up": "livemin", "node_connections": "livesum", "node_idle_connections": "livesum"}
"""How numbers of several processes become one; of the others the largest is shown."""


def install() -> Recorder:
    """Measure every cache of this process. A second call changes nothing."""
    global _installed
    with _lock:
        if _installed is None:
            metrics = Metrics()
            _installed = metrics.recorder
            forks.in_child(metrics.after_fork)
            record(_installed)
            atexit.register(_installed.hand_on)
        return _installed


def view(request: HttpRequest) -> HttpResponse:
    """A page for Prometheus to scrape. Let no stranger see it: it names nodes."""
    if _installed:
        _installed.hand_on()
    registry = client.REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return HttpResponse(client.generate_latest(registry), content_type=client.CONTENT_TYPE_LATEST)
