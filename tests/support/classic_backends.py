"""The backends that sites come from, and how ours is configured beside them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet

MEMCACHED = "django.core.cache.backends.memcached."


class Classic(NamedTuple):
    """One backend with one choice of its options, and what ours is given."""

    backend: str
    ours: Mapping[str, Any]
    options: Mapping[str, Any] = {}
    serializes: str = "pickle"
    nodes: int = 3

    @property
    def engine(self) -> str:
        return "memcached" if self.backend.startswith(MEMCACHED) else "redis"

    def old_entry(self, addresses: list[str]) -> dict[str, Any]:
        """The CACHES entry before."""
        location = addresses if self.engine == "memcached" else addresses[0]
        return {"BACKEND": self.backend, "LOCATION": location, "KEY_PREFIX": "shop", "OPTIONS": dict(self.options)}

    def new_entry(self, addresses: list[str], **more: Any) -> dict[str, Any]:
        """And after."""
        backend = "django_dcache.backend.DistributedCache"
        return {"BACKEND": backend, "LOCATION": addresses, "KEY_PREFIX": "shop", "OPTIONS": {**self.ours, **more}}


def _django_redis(serializes: str = "pickle", compress: str = "", serializer: str = "") -> Classic:
    options, ours = {}, {"coexist": "django-redis"}
    if serializer:
        options["SERIALIZER"] = f"django_redis.serializers.{serializer}"
        ours["serializer"] = "django_dcache.django_json.DjangoJSON" if serializes == "json" else serializes
    if compress:
        options["COMPRESSOR"] = f"django_redis.compressors.{compress}"
        ours["compress"] = compress.partition(".")[0]
    return Classic("django_redis.cache.RedisCache", ours, options, serializes, 1)


_CLASSICS = {
    "pymemcache": Classic(f"{MEMCACHED}PyMemcacheCache", {"coexist": "pymemcache"}),
    "pylibmc": Classic(f"{MEMCACHED}PyLibMCCache", {"coexist": "pylibmc"}),
    "pylibmc-ketama": Classic(
        f"{MEMCACHED}PyLibMCCache",
        {"coexist": "pylibmc", "ring": "ketama-unweighted"},
        {"behaviors": {"ketama": True}},
    ),
    "pylibmc-ketama-weighted": Classic(
        f"{MEMCACHED}PyLibMCCache",
        {"coexist": "pylibmc", "ring": "libmemcached"},
        {"behaviors": {"ketama_weighted": True}},
    ),
    "redis": Classic("django.core.cache.backends.redis.RedisCache", {"coexist": "redis"}, nodes=1),
    "django-redis": _django_redis(),
    "django-redis-zlib": _django_redis(compress="zlib.ZlibCompressor"),
    "django-redis-json": _django_redis("json", serializer="json.JSONSerializer"),
    "django-redis-json-lz4": _django_redis("json", "lz4.Lz4Compressor", "json.JSONSerializer"),
    "django-redis-msgpack": _django_redis("msgpack", serializer="msgpack.MSGPackSerializer"),
}


CLASSICS = {
    name: classic
    for name, classic in _CLASSICS.items()
    if not classic.backend.endswith("PyLibMCCache") or find_spec("pylibmc")  # It is built for few platforms.
}


@contextmanager
def beside(classic: Classic, **more: Any) -> Iterator[tuple[BaseCache, DistributedCache, LocalFleet]]:
    """The old cache and the new one, on nodes of their own."""
    with LocalFleet(classic.nodes, classic.engine) as nodes:
        old, new = classic.old_entry(nodes.addresses), classic.new_entry(nodes.addresses, **more)
        # Generous: a busy machine must not make a miss of what is there.
        new["OPTIONS"] = {"freshness": 0.2, "timeout": 2.0, "connect_timeout": 2.0, **new["OPTIONS"]}
        caches = [import_string(entry["BACKEND"])(entry["LOCATION"], entry) for entry in (old, new)]
        try:
            yield *caches, nodes
        finally:
            for cache in caches:
                cache.close()
            if client := getattr(caches[0], "_cache", None):
                getattr(client, "disconnect_all", getattr(client, "close", lambda: None))()
            caches[1].fleet.close()
