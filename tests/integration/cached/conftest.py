"""A cache in the place of the alias "default", for what an application caches."""

import itertools

import pytest
from django.http import HttpResponse
from django.test import override_settings

from django_dcache import decorators, invalidation, views
from django_dcache.backend import DistributedCache
from django_dcache.templatetags import dcache as template_tag

numbers = itertools.count()


@pytest.fixture(autouse=True)
def cache(nodes, monkeypatch):
    """The cache of the alias "default", with keys that no other test has."""
    params = {"KEY_PREFIX": f"test{next(numbers)}", "OPTIONS": {"timeout": 5.0, "fleet": "cached"}}
    cache = DistributedCache(list(nodes.addresses), params)
    for module in (invalidation, decorators, views, template_tag):
        monkeypatch.setattr(module, "find_cache", lambda alias: cache)
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        yield cache


@pytest.fixture
def counted():
    """A view, or function, that counts its calls."""
    calls = itertools.count(1)

    def count(*args, **kwargs):
        return HttpResponse(f"{next(calls)}")

    return count
