"""Samples of nodes in the database, and what becomes of them and of all else that is old."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from dcache_manager import metrics as samples
from dcache_manager.invalidation import log as invalidation
from dcache_manager.models import Event, Invalidation, Job, NodeSample, Step
from dcache_manager.tasks import expire, sample
from django_dcache.testing import LocalFleet


def entry(addresses: list[str]) -> dict[str, Any]:
    return {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": addresses, "OPTIONS": {"timeout": 10}}


def test_sample(tables: None, fleet: Callable[..., LocalFleet]) -> None:
    """One row for each node of each fleet, with the facts of `status`; aliases that share a fleet count once."""
    nodes = fleet(2)
    both = {"default": entry(nodes.addresses), "other": entry(nodes.addresses) | {"KEY_PREFIX": "x"}}
    with override_settings(CACHES=both, DCACHE={"REGION": "eu"}):
        sample()
        nodes.nodes[1].kill()
        sample()
    rows = NodeSample.objects.order_by("pk")
    assert [row.node for row in rows] == nodes.addresses * 2
    assert [row.state for row in rows] == ["up", "up", "up", "down"]
    assert rows[0].facts["limit_bytes"] == 64 * 2**20 and rows[0].facts["region"] == "eu"


def test_nobody_there(tables: None) -> None:
    """A fleet of which nobody answers is written down as such."""
    with override_settings(CACHES={"default": entry(["127.0.0.1:9"])}):
        sample()
    assert NodeSample.objects.get().state == "down"


def test_no_database(caplog: pytest.LogCaptureFixture) -> None:
    """Without tables neither task raises; both say so in the log."""
    with override_settings(CACHES={"default": entry(["127.0.0.1:9"])}), caplog.at_level(logging.WARNING):
        sample()
        expire()
    assert len(caplog.records) == 2


def test_expire(tables: None) -> None:
    """What is old goes, a job with all that is its own, in batches; what is young, or not settled, stays."""
    old, moment = now() - timedelta(days=100), now()
    for at in (old, moment):
        NodeSample.objects.bulk_create([NodeSample(fleet="f", node="a", at=at, state="up") for _ in range(600)])
        job = Job.objects.create(name=str(at), kind="rebalance", fleet="f", state="done", heard=at)
        Event.objects.create(job=job, at=at, event="began"), Step.objects.create(job=job, name="1", heard=at)
        for settled in (True, False):
            made = Invalidation.objects.create(region="eu", alias="a", kind="keys", made=["k"], settled=settled)
            Invalidation.objects.filter(pk=made.pk).update(created=at)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert samples.expire() == 602
    assert len(queries) < 25
    assert NodeSample.objects.count() == 600 and Job.objects.get().heard == moment
    assert Event.objects.count() == Step.objects.count() == 1
    assert [found.settled for found in Invalidation.objects.all()] == [False, True, False]
    assert not invalidation.old()


def test_samples_are_bounded(tables: None) -> None:
    """Beyond so many rows the oldest samples go, whatever their age."""
    NodeSample.objects.bulk_create(NodeSample(fleet="f", node=str(n), at=now(), state="up") for n in range(8))
    assert samples.expire(max_samples=5) == 3
    assert sorted(row.node for row in NodeSample.objects.all()) == ["3", "4", "5", "6", "7"]
