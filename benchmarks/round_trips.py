"""What saves round trips: the near cache, and the middleware that fetches what a page will read."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from random import Random
from statistics import quantiles
from typing import Any

import django
from django.core.cache import caches
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from django_dcache.backend import DistributedCache

from .distinct import BATCH, ZIPF_EXPONENT
from .links import slow
from .operations import SMALL, TTL
from .scenarios import Terms
from .servers import running
from .table import Table

GETS, PAGES = 20, 50
LINK_SECONDS = 0.001
NEAR_KEYS, NEAR_LINK_SECONDS, NEAR_BYTES = 100_000, 0.0005, 64_000_000
WARM_SECONDS, ROUND_SECONDS = 1.0, 2.0
MIDDLEWARE = {"without": [], "with prefetch": ["django_dcache.prefetch.PrefetchMiddleware"]}


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Reads twenty keys, one after the other."""
    cache = caches["default"]
    return HttpResponse(str(sum(cache.get(f"item:{pk}:{number}") == SMALL for number in range(GETS))))


urlpatterns = [path("page/<int:pk>", page)]


def prefetch(terms: Terms) -> Iterator[Table]:
    """A page with 20 gets: behind links of 1 ms, and on the same machine; with the middleware and without."""
    times: dict[str, dict[str, float]] = {name: {} for name in MIDDLEWARE}
    rates: dict[str, dict[str, float]] = {name: {} for name in MIDDLEWARE}
    with running(3) as servers, slow(servers.memcached, LINK_SECONDS) as links:
        for name, middleware in MIDDLEWARE.items():
            with _site(f"{name[:4]}_far", middleware, servers.memcached, links.__getitem__) as show:
                milliseconds = [1000 * show() for _ in range(PAGES * max(4, terms.samples // 20))]
            cuts = quantiles(milliseconds[PAGES:], n=100)
            times[name] = {"p50": cuts[49], "p99": cuts[98]}
        for name, middleware in MIDDLEWARE.items():
            with _site(f"{name[:4]}_here", middleware, servers.memcached, None) as show:
                seconds = [sum(show() for _ in range(PAGES)) for _ in range(max(5, terms.samples // 2))]
            rates[name] = {"requests/s": PAGES / min(seconds)}
    yield Table(f"A page with {GETS} gets behind links of {1000 * LINK_SECONDS:g} ms: milliseconds per request", times)
    yield Table("The same, nodes on the same machine, without gunicorn: requests per second", rates, True)


class _site:
    """A site with this middleware, as `with` gives it: a function that has the next page made, in how many seconds."""

    def __init__(self, fleet: str, middleware: list[str], nodes: Any, remap: Callable[[str], str] | None):
        options = {"fleet": fleet, "timeout": 1.0, "address_remap": remap}
        entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": list(nodes), "OPTIONS": options}
        self._settings = override_settings(
            **{
                "ROOT_URLCONF": __name__,
                "ALLOWED_HOSTS": ["*"],
                "SECRET_KEY": "benchmark",
                "CACHES": {"default": entry},
            },
            MIDDLEWARE=middleware,
        )

    def __enter__(self) -> Callable[[], float]:
        self._settings.enable()
        django.setup()
        self._handler, requests = WSGIHandler(), RequestFactory()
        for pk in range(PAGES):
            caches["default"].set_many({f"item:{pk}:{number}": SMALL for number in range(GETS)}, TTL)
        environments = [requests.get(f"/page/{pk}").environ for pk in range(PAGES)]
        number = 0

        def show() -> float:
            nonlocal number
            number += 1
            began = time.perf_counter()
            response = self._handler(dict(environments[number % PAGES]), lambda status, headers: None)
            body = b"".join(response)
            response.close()
            if body != str(GETS).encode():
                raise SystemExit(f"the page shows {body!r}")
            return time.perf_counter() - began

        return show

    def __exit__(self, *_: object) -> None:
        self._settings.disable()


def near(terms: Terms) -> Iterator[Table]:
    """Gets by Zipf's law over 100,000 keys behind links of 0.5 ms: with a near cache and without, 1 and 8 threads."""
    chance = Random(1)
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, NEAR_KEYS + 1)]
    drawn = chance.choices([f"item:{number}" for number in range(NEAR_KEYS)], weights, k=200_000)
    rows: dict[str, dict[str, float]] = {"without": {}, "near": {}}
    with running(3, memory=256) as servers, slow(servers.memcached, NEAR_LINK_SECONDS) as links:
        filler = DistributedCache(list(servers.memcached), {"OPTIONS": {"fleet": "zipf"}})
        for first in range(0, NEAR_KEYS, BATCH):
            filler.set_many({f"item:{number}": SMALL for number in range(first, first + BATCH)}, TTL)
        options: Mapping[str, Any] = {"fleet": "zipf", "address_remap": links.__getitem__, "timeout": 1.0}
        made = {
            "without": DistributedCache(list(servers.memcached), {"OPTIONS": dict(options)}),
            "near": DistributedCache(list(servers.memcached), {"OPTIONS": {**options, "near": {"bytes": NEAR_BYTES}}}),
        }
        for count in (1, 8):
            for _ in range(3):
                for name, cache in made.items():
                    column = f"{count} thread{'s' * (count > 1)}"
                    rows[name][column] = max(_rate(cache, drawn, count), rows[name].get(column, 0.0))
    title = f"get by Zipf's law, {NEAR_KEYS:,} keys, links of {1000 * NEAR_LINK_SECONDS:g} ms: calls per second"
    yield Table(title, rows, more_is_better=True)


def _rate(cache: DistributedCache, drawn: list[str], threads: int) -> float:
    """Calls per second of these threads together, once what is hot has been read."""
    begins = time.perf_counter() + WARM_SECONDS
    with ThreadPoolExecutor(threads) as pool:
        counts = list(
            pool.map(partial(_gets, cache, drawn, begins), range(0, len(drawn), len(drawn) // threads)[:threads])
        )
    return sum(counts) / ROUND_SECONDS


def _gets(cache: DistributedCache, drawn: list[str], begins: float, first: int) -> int:
    count = 0
    for key in islice(cycle(drawn), first, None):
        cache.get(key)
        now = time.perf_counter()
        count += now > begins
        if now > begins + ROUND_SECONDS:
            break
    return count
