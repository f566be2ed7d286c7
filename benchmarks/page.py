"""The smallest Django site with a page that asks its cache 20 things, for gunicorn.

PAGE_CACHE says which cache, PAGE_MIDDLEWARE which middleware.
"""

import json
import os

from django.conf import settings
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from .operations import SMALL

ITEMS = [f"item:{number}" for number in range(20)]
CALLS = 20


def page(request: HttpRequest) -> HttpResponse:
    """12 hits, 2 misses, 2 times 10 keys at once, 2 values stored, 1 counted, 1 deleted."""
    found = [cache.get(key) for key in ITEMS[:12]]
    missed = [cache.get("nothing:1"), cache.get("nothing:2")]
    found += [*cache.get_many(ITEMS[:10]).values(), *cache.get_many(ITEMS[10:]).values()]
    cache.set("stored:1", SMALL, 300)
    cache.set("stored:2", SMALL, 300)
    views = cache.incr("views")
    cache.delete("gone")
    return HttpResponse(f"{len(found)} found, {missed.count(None)} missed, {views > 0}")


EXPECTED = b"32 found, 2 missed, True"


def prepare(request: HttpRequest) -> HttpResponse:
    """Stores what the page will look for."""
    cache.set_many(dict.fromkeys(ITEMS, SMALL), 300)
    cache.set("views", 1, 300)
    return HttpResponse(b"prepared")


urlpatterns = [path("page", page), path("prepare", prepare)]

if "PAGE_CACHE" in os.environ:
    entry = json.loads(os.environ["PAGE_CACHE"])
    middleware = json.loads(os.environ.get("PAGE_MIDDLEWARE", "[]"))
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=middleware, CACHES={"default": entry})
    application = get_wsgi_application()
