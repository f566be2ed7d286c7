"""A small site on three nodes, for warmers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from dcache_manager.models import Job
from dcache_manager.warming import registry
from django_dcache.testing import LocalFleet
from support import warmed_pages as pages

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"card.html": pages.TEMPLATE})]},
    }
]


@pytest.fixture(scope="module")
def migrated() -> Iterator[None]:
    """The manager's tables, for all tests of this module: making them takes longer than most of these."""
    call_command("migrate", "dcache_manager", verbosity=0)
    yield
    call_command("migrate", "dcache_manager", "zero", verbosity=0)


@pytest.fixture
def nodes(migrated: None, fleet: Callable[..., LocalFleet]) -> Iterator[LocalFleet]:
    """Three nodes behind the alias "default" of a small site; no warmer is registered."""
    nodes = fleet(3)
    entry: dict[str, Any] = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses}
    entry["OPTIONS"] = {"freshness": 0.2, "replicas": 2, "timeout": 5.0, "connect_timeout": 5.0}
    site = {"ROOT_URLCONF": pages.__name__, "TEMPLATES": TEMPLATES, "ALLOWED_HOSTS": ["shop.example.com"]}
    registry._warmers.clear()
    pages.runs.clear()
    with override_settings(CACHES={"default": entry}, **site):
        yield nodes
    Job.objects.all().delete()
