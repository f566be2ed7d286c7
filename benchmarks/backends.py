"""Who is compared, and how each is set up: as its own documentation recommends it for speed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

OURS = "django-dcache"
SPEED = f"{OURS} + speed"
PREFETCH = ", with PrefetchMiddleware"
"""The end of the name of ours on a site that asks for what a page reads before it reads it."""
ONE_NODE = ", one node"
"""The end of the name of a backend that can't spread keys over several nodes, and so has less to do."""


@dataclass(frozen=True)
class Servers:
    """Where the backends find their nodes."""

    memcached: Sequence[str]
    redis: Sequence[str]
    """Empty if it is not installed."""


@dataclass(frozen=True)
class Backend:
    """One competitor: a Django cache backend and what pip has to install for it."""

    name: str
    path: str
    packages: tuple[str, ...] = ()
    location: Callable[[Servers], Any] = lambda servers: list(servers.memcached)
    options: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    """Debian's packages with what it takes to build it where there is no binary package."""
    folder: str = ""
    """Of this checkout, in which its package is."""
    middleware: tuple[str, ...] = ()
    """What a site has with it."""

    def entry(self, servers: Servers) -> dict[str, Any]:
        """As it would stand in CACHES. Each has a prefix of its own: they share the nodes."""
        prefix = f"{sum(map(ord, self.name)) % 1000:03}"
        location = self.location(servers)
        return {
            "BACKEND": self.path,
            "LOCATION": location,
            "KEY_PREFIX": prefix,
            "TIMEOUT": 300,
            "OPTIONS": dict(self.options),
        }

    def make(self, servers: Servers) -> BaseCache:
        """A backend object as Django would make it."""
        params = self.entry(servers)
        cache: BaseCache = import_string(params.pop("BACKEND"))(params.pop("LOCATION"), params)
        return cache


def ours(
    replicas: int = 1, speed: bool = False, location: Callable[[Servers], Any] = lambda servers: list(servers.memcached)
) -> Backend:
    """django-dcache on memcached, or on the nodes at `location`; with `speed`, its compiled extra too."""
    # A fleet's state outlives its clients: another number of replicas is another fleet on the same nodes.
    options = {"replicas": replicas, "fleet": f"r{replicas}"}
    if not speed:
        return Backend(OURS, "django_dcache.backend.DistributedCache", (), location, options)
    return Backend(
        SPEED, "benchmarks.speed.DistributedCache", ("django-dcache-speed",), location, options, folder="speed"
    )


def with_prefetch(backend: Backend) -> Backend:
    """On a site whose middleware learns what a page reads, and reads it in one round: no peer has that."""
    middleware = ("django_dcache.prefetch.PrefetchMiddleware",)
    return replace(backend, name=f"{backend.name}{PREFETCH}", middleware=middleware)


def every_redis(servers: Servers) -> list[str]:
    """For a backend that spreads keys over them."""
    return [f"redis://{address}/0" for address in servers.redis]


def _redis(scheme: str, servers: Servers) -> str:
    return f"{scheme}://{servers.redis[0]}/0"


_pylibmc = {"binary": False, "behaviors": {"ketama_weighted": True, "tcp_nodelay": True}}

PEERS = (
    Backend("PyMemcacheCache", "django.core.cache.backends.memcached.PyMemcacheCache", ("pymemcache",)),
    Backend(
        "PyLibMCCache (text, ketama)",
        "django.core.cache.backends.memcached.PyLibMCCache",
        ("pylibmc",),
        options=_pylibmc,
        headers=("libmemcached-dev", "zlib1g-dev"),
    ),
    Backend("libmc", "benchmarks.adapters.LibMCCache", ("libmc",)),
    Backend("meta-memcache", "benchmarks.adapters.MetaMemcacheCache", ("meta-memcache",)),
    Backend(
        "django-redis + hiredis, one node",
        "django_redis.cache.RedisCache",
        ("django-redis", "hiredis"),
        partial(_redis, "redis"),
    ),
    Backend(
        "django-valkey + libvalkey, one node",
        "django_valkey.cache.ValkeyCache",
        ("django-valkey", "libvalkey"),
        partial(_redis, "valkey"),
    ),
    Backend(
        "django-cachex, one node",
        "django_cachex.cache.RedisCache",
        ("django-cachex", "hiredis"),
        partial(_redis, "redis"),
    ),
    Backend(
        "Django's RedisCache, one node",
        "django.core.cache.backends.redis.RedisCache",
        ("redis", "hiredis"),
        partial(_redis, "redis"),
    ),
)

FLOOR = Backend("bare ping-pong (no cache at all)", "benchmarks.floor.PingPong")


def peer(name: str) -> Backend:
    return next(backend for backend in PEERS if backend.name.startswith(name))
