"""What nodes did between samples."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils.timezone import now

from dcache_manager import metrics, rates
from dcache_manager.models import NodeSample
from django_dcache.testing import LocalFleet

pytestmark = pytest.mark.usefixtures("tables")
BEGIN = now() - timedelta(minutes=30)


def sample(seconds: float, node: str = "a", **facts: Any) -> NodeSample:
    """What a node said so many seconds after the beginning."""
    return NodeSample.objects.create(
        fleet="f", node=node, at=BEGIN + timedelta(seconds=seconds), state="up", facts=facts
    )


def counted(number: int) -> dict[str, int]:
    return {"operations": 10 * number, "hits": 3 * number, "misses": number, "evictions": 0}


def test_rates() -> None:
    """Growth by time, and the hit ratio of the time between two samples."""
    sample(0, **counted(0))
    sample(10, **counted(100), answer_seconds=0.25)
    (rate,) = rates.rates("f", BEGIN)["a"]
    assert (rate.operations, rate.hits, rate.misses, rate.evictions) == (100, 30, 10, 0)
    assert (rate.hit_ratio, rate.answer_seconds) == (0.75, 0.25)


@pytest.mark.parametrize("facts", [{}, counted(1), counted(5) | {"hits": "many"}])
def test_unknown(facts: dict[str, Any]) -> None:
    """A node that was away, started anew or says nonsense has no rate, and none below zero."""
    sample(0, **counted(2))
    sample(10, **facts)
    (rate,) = rates.rates("f", BEGIN)["a"]
    assert rate.operations is None and rate.hit_ratio is None


def test_bounded() -> None:
    """However many samples there are, two questions are asked and a line has at most so many points."""
    moments = [BEGIN + timedelta(seconds=number) for number in range(1000)]
    rows = [NodeSample(fleet="f", node=node, at=at, state="up", facts=counted(1)) for at in moments for node in "ab"]
    NodeSample.objects.bulk_create(rows)
    with CaptureQueriesContext(connection) as asked:
        found = rates.rates("f", BEGIN)
    assert len(asked) == 2 and found.keys() == {"a", "b"}
    assert all(100 < len(line) <= rates.MAX_MOMENTS and line[-1].at == moments[-1] for line in found.values())


def test_real_nodes(fleet: Callable[..., LocalFleet]) -> None:
    """Two samples of nodes in use tell what was asked of them in between."""
    nodes = {
        "BACKEND": "django_dcache.backend.DistributedCache",
        "LOCATION": fleet(2).addresses,
        "OPTIONS": {"timeout": 5.0},
    }
    with override_settings(CACHES={"default": nodes}):
        caches["default"].set("k", 1)
        metrics.take()
        for _ in range(400):
            caches["default"].get("k")
        metrics.take()
        found = rates.rates(caches["default"].fleet.configuration.fleet, BEGIN)
    samples = NodeSample.objects.order_by("at")
    seconds = (samples.last().at - samples.first().at).total_seconds()
    hits = sum(line[-1].hits for line in found.values()) * seconds
    assert 399.5 < hits < 440 and all(line[-1].answer_seconds < 2 for line in found.values())
