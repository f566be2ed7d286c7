"""Spans and metrics for OpenTelemetry, by its conventions for databases. In `wsgi.py`, `asgi.py` or an AppConfig:

    from django_dcache.metrics import otel
    otel.install()

Needs the extra `otel`, which is the API alone: the site chooses the SDK, the exporter and the sampling.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from math import isfinite
from time import perf_counter
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Histogram, Observation
from opentelemetry.trace import SpanKind, Status, StatusCode

from .. import __version__
from ..backend import DistributedCache
from . import process
from .recording import BOUNDS, MANY, METHODS, measured, sized

_installed = False


def install(
    tracer_provider: trace.TracerProvider | None = None, meter_provider: metrics.MeterProvider | None = None
) -> None:
    """Trace and measure every cache of this process. A second call changes nothing. No attribute holds a key."""
    global _installed
    if _installed:
        return
    _installed = True
    tracer = trace.get_tracer("django_dcache", __version__, tracer_provider)
    meter = metrics.get_meter("django_dcache", __version__, meter_provider)
    duration = meter.create_histogram(
        "db.client.operation.duration",
        "s",
        "Duration of calls of the cache's methods.",
        explicit_bucket_boundaries_advisory=BOUNDS,
    )
    for cache, names in measured(METHODS):
        for name in ("get", *names):
            setattr(cache, name, _method(name, getattr(cache, name), tracer, duration))
            setattr(cache, f"a{name}", _async_method(name, getattr(cache, f"a{name}"), tracer, duration))
    meter.create_observable_counter("dcache.events", [_events], description="What happened beside plain operations.")
    meter.create_observable_counter("dcache.node.failures", [_failures], description="Failures of nodes, by cause.")
    for name, text in process.READINGS.items():
        meter.create_observable_gauge(f"dcache.{name}", [partial(_reading, name)], description=text)


@contextmanager
def _call(
    cache: DistributedCache, operation: str, count: int, tracer: trace.Tracer, duration: Histogram
) -> Iterator[None]:
    configuration = cache.fleet.configuration
    fleet = configuration.fleet
    attributes: dict[str, Any] = {
        "db.system.name": configuration.layout.nodes[0].engine,
        "db.operation.name": operation,
        "db.namespace": fleet,
    }
    began = perf_counter()
    many = {"db.operation.batch.size": count} if count > 1 else {}
    # What is raised may name the key, so only its kind is told.
    with tracer.start_as_current_span(
        f"{operation} {fleet}",
        kind=SpanKind.CLIENT,
        attributes=attributes | many,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            attributes["error.type"] = type(error).__qualname__
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            duration.record(perf_counter() - began, attributes)


def _method(name: str, original: Callable[..., Any], tracer: trace.Tracer, duration: Histogram) -> Callable[..., Any]:
    @wraps(original)
    def method(self: DistributedCache, *arguments: Any, **named: Any) -> Any:
        arguments, count = sized(arguments, named) if name in MANY else (arguments, 1)
        with _call(self, name, count, tracer, duration):
            return original(self, *arguments, **named)

    return method


def _async_method(
    name: str, original: Callable[..., Any], tracer: trace.Tracer, duration: Histogram
) -> Callable[..., Any]:
    @wraps(original)
    async def method(self: DistributedCache, *arguments: Any, **named: Any) -> Any:
        arguments, count = sized(arguments, named) if name in MANY else (arguments, 1)
        with _call(self, name, count, tracer, duration):
            return await original(self, *arguments, **named)

    return method


def _events(options: CallbackOptions) -> Iterable[Observation]:
    for (fleet, event), count in process.events().items():
        yield Observation(count, {"db.namespace": fleet, "dcache.event": event})


def _failures(options: CallbackOptions) -> Iterable[Observation]:
    for (fleet, node, cause), count in process.failures().items():
        yield Observation(count, {"db.namespace": fleet, "dcache.node": node, "error.type": cause})


def _reading(name: str, options: CallbackOptions) -> Iterable[Observation]:
    for reading in process.readings():
        if reading.name == name and isfinite(reading.number):
            where = {"dcache.node": reading.node} if reading.node else {}
            yield Observation(reading.number, {"db.namespace": reading.fleet} | where)
