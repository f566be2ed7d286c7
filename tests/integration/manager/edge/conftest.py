"""A site of one region, on two nodes."""

import itertools

import pytest
from celery import Celery
from django.test import override_settings

from support.edges import RULES

numbers = itertools.count()


@pytest.fixture(autouse=True)
def site(nodes, tables):
    """A site of one region, whose tasks run where they are sent."""
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses}
    entry |= {"KEY_PREFIX": f"edge{next(numbers)}", "OPTIONS": {"fleet": "edge", "timeout": 5.0}}
    with override_settings(CACHES={"default": entry}, DCACHE={"REGION": "eu"}, DCACHE_EDGE={"rules": RULES}):
        yield
