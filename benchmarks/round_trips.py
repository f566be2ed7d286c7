"""What saves round trips: the near cache, and the middleware that fetches what a page will read."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count, cycle, islice, product
from random import Random
from statistics import median, quantiles
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
FEW_GETS = (0, 1, 2, 3, 5)
WARM_ROUNDS = 40
"""Of pages: as many as the middleware takes to learn that a site's pages are too small for it."""
LINK_SECONDS = 0.001
NEAR_KEYS, NEAR_LINK_SECONDS, NEAR_BYTES = 100_000, 0.0005, 64_000_000
WARM_SECONDS, ROUND_SECONDS = 1.0, 2.0
WITHOUT, WITH = "without", "prefetch"
MIDDLEWARE = {WITHOUT: [], WITH: ["django_dcache.prefetch.PrefetchMiddleware"]}
"""By site, whose cache has the same name."""


def page(request: HttpRequest, site: str, gets: int, pk: int) -> HttpResponse:
    """Reads this many keys, one after the other."""
    cache = caches[site]
    return HttpResponse(str(sum(cache.get(f"item:{pk}:{number}") == SMALL for number in range(gets))))


urlpatterns = [path("page/<str:site>/<int:gets>/<int:pk>", page)]


def prefetch(terms: Terms) -> Iterator[Table]:
    """Pages with 20 gets behind links of 1 ms, and with 0 to 20 on the same machine; with the middleware and without.

    Both sites are in this process, and are asked in turn: what slows down one of them slows down the other.
    """
    times: dict[str, dict[str, float]] = {}
    rates: dict[str, dict[str, float]] = {name: {} for name in MIDDLEWARE}
    with running(3) as servers, slow(servers.memcached, LINK_SECONDS) as links:
        with _sites("far", servers.memcached, links.__getitem__) as show:
            for name in MIDDLEWARE:
                milliseconds = [1000 * show(name, GETS) for _ in range(PAGES * max(4, terms.samples // 20))]
                cuts = quantiles(milliseconds[PAGES:], n=100)
                times[name] = {"p50": cuts[49], "p99": cuts[98]}
        with _sites("here", servers.memcached, None) as show:
            for gets in (*FEW_GETS, GETS):
                seconds: dict[str, list[float]] = {name: [] for name in MIDDLEWARE}
                for number in range(WARM_ROUNDS + max(5, terms.samples // 2)):
                    # Each is the first one as often as the other.
                    for name in sorted(MIDDLEWARE, reverse=bool(number % 2)):
                        seconds[name].append(sum(show(name, gets) for _ in range(PAGES)))
                for name, taken in seconds.items():
                    rates[name][f"{gets} gets"] = PAGES / median(taken[WARM_ROUNDS:])
    yield Table(f"A page with {GETS} gets behind links of {1000 * LINK_SECONDS:g} ms: milliseconds per request", times)
    yield Table("Pages, nodes on the same machine, without gunicorn: requests per second", rates, True)


@contextmanager
def _sites(fleet: str, nodes: Any, remap: Callable[[str], str] | None) -> Iterator[Callable[[str, int], float]]:
    """A function that has a site make its next page, with this many gets, and returns the seconds."""
    options = {"timeout": 1.0, "request_budget": 60.0, "address_remap": remap}
    entries = {
        name: {
            "BACKEND": "django_dcache.backend.DistributedCache",
            "LOCATION": list(nodes),
            "OPTIONS": {**options, "fleet": f"{name}_{fleet}"},
        }
        for name in MIDDLEWARE
    }
    site = {"ROOT_URLCONF": __name__, "ALLOWED_HOSTS": ["*"], "SECRET_KEY": "benchmark"}
    handlers: dict[str, WSGIHandler] = {}
    for name, middleware in MIDDLEWARE.items():
        # Its own cache only: the middleware gives methods that look for what was fetched to all that it sees.
        with override_settings(**site, CACHES={name: entries[name]}, MIDDLEWARE=middleware):
            django.setup()
            handlers[name] = WSGIHandler()
    with override_settings(**site, CACHES=entries):
        for name, pk in product(MIDDLEWARE, range(PAGES)):
            caches[name].set_many({f"item:{pk}:{number}": SMALL for number in range(GETS)}, TTL)
        get, numbers = RequestFactory().get, count()

        def show(name: str, gets: int) -> float:
            environment = get(f"/page/{name}/{gets}/{next(numbers) % PAGES}").environ
            began = time.perf_counter()
            response = handlers[name](environment, lambda status, headers: None)
            body = b"".join(response)
            response.close()
            seconds = time.perf_counter() - began
            if body != str(gets).encode():
                raise SystemExit(f"the page shows {body!r}")
            return seconds

        yield show


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
