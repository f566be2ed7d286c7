"""Spans and metrics for OpenTelemetry, by its conventions for databases, and never a key."""

import asyncio

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from django_dcache.backend import DistributedCache
from django_dcache.metrics import otel
from django_dcache.testing import LocalNode, LocalRedis
from support.measured import methods_restored
from support.waiting import until


@pytest.fixture
def told(monkeypatch):
    """The spans and the reader of metrics, with every cache traced for the time of the test."""
    monkeypatch.setattr(otel, "_installed", False)
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    with methods_restored():
        otel.install(tracers, MeterProvider([reader]))
        yield spans, reader


@pytest.fixture(params=[LocalNode, LocalRedis], ids=["memcached", "redis"])
def cache(request):
    """A cache on one node."""
    with request.param() as node:
        yield DistributedCache(
            [{"name": "only", "address": node.address}], {"OPTIONS": {"fleet": "shop", "timeout": 5.0}}
        )


def test_spans(told, cache, request):
    """A call is a client's span, named after the operation and the fleet, with the attributes of the conventions."""
    spans, _ = told
    assert until(lambda: cache.set("settled", 1))
    spans.clear()
    cache.get_many(["a", "b", "c"])
    asyncio.run(cache.aget("a"))
    many, one = spans.get_finished_spans()
    assert (many.name, one.name, many.kind) == ("get_many shop", "get shop", SpanKind.CLIENT)
    assert dict(many.attributes) == {
        "db.system.name": request.node.callspec.id,
        "db.operation.name": "get_many",
        "db.namespace": "shop",
        "db.operation.batch.size": 3,
    }
    assert one.status.status_code is StatusCode.UNSET


def test_errors(told, cache):
    """A call that raises is told with the kind of the error, and without its words, which may name the key."""
    spans, reader = told
    with pytest.raises(ValueError, match="visitor"):
        cache.incr("visitor-4711")
    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError" and span.status.status_code is StatusCode.ERROR
    assert "visitor-4711" not in span.to_json() + reader.get_metrics_data().to_json()


def test_durations_and_readings(told, cache):
    """Durations are a histogram in seconds under the convention's name; what is known of the nodes is there as well."""
    _, reader = told
    cache.get("key")
    (resource,) = reader.get_metrics_data().resource_metrics
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    duration = metrics["db.client.operation.duration"]
    points = {point.attributes["db.operation.name"]: point for point in duration.data.data_points}
    assert duration.unit == "s" and points["get"].count == 1 and points["get"].explicit_bounds[0] == 0.00005
    points = metrics["dcache.node_up"].data.data_points
    named = [p.attributes["db.namespace"] for p in points if p.attributes.get("dcache.node") == "only"]
    # Where other tests have left thousands of fleets the reader puts those beyond its limit together.
    assert {p.value for p in points} <= {0, 1} and (
        named or any("otel.metric.overflow" in p.attributes for p in points)
    )
