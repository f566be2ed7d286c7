"""What to write in place of another backend's entry."""

import pytest

from dcache_manager.adoption.plan import plan
from dcache_manager.errors import NotPossible
from django_dcache.conf import parse

MEMCACHED = "django.core.cache.backends.memcached."
NODES = ["10.0.0.1:11211", "10.0.0.2:11211"]


def old(backend, location=NODES, **options):
    return {"BACKEND": backend, "LOCATION": location, "KEY_PREFIX": "shop", "TIMEOUT": 60, "OPTIONS": options}


PYMEMCACHE, PYLIBMC = f"{MEMCACHED}PyMemcacheCache", f"{MEMCACHED}PyLibMCCache"
REDIS, DJANGO_REDIS = "django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"
SERVER = "redis://10.0.0.1:6379/1"


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (old(PYMEMCACHE), {"coexist": "pymemcache"}),
        (old(PYMEMCACHE, ";".join(NODES)), {"coexist": "pymemcache"}),
        (old(PYMEMCACHE, max_pool_size=8, timeout=1), {"coexist": "pymemcache", "idle_connections": 8, "timeout": 1}),
        (old(PYLIBMC), {"coexist": "pylibmc", "ring": "modula"}),
        (old(PYLIBMC, behaviors={"ketama": True}), {"coexist": "pylibmc", "ring": "ketama-unweighted"}),
        (old(PYLIBMC, behaviors={"ketama_weighted": True}), {"coexist": "pylibmc", "ring": "libmemcached"}),
        (old(REDIS, SERVER), {"coexist": "redis"}),
        (old(DJANGO_REDIS, SERVER, PICKLE_VERSION=4), {"coexist": "django-redis", "pickle_protocol": 4}),
        (
            old(DJANGO_REDIS, SERVER, SERIALIZER="django_redis.serializers.msgpack.MSGPackSerializer"),
            {"coexist": "django-redis", "serializer": "msgpack"},
        ),
        (
            old(DJANGO_REDIS, SERVER, COMPRESSOR="django_redis.compressors.lz4.Lz4Compressor", SOCKET_TIMEOUT=1),
            {"coexist": "django-redis", "compress": "lz4", "timeout": 1},
        ),
    ],
)
def test_entries(entry, options):
    """The new entry names the same nodes in the same order, keeps what is Django's, and can be used as it is."""
    made = plan("default", entry)
    assert made.obstacles == [] and made.entry["OPTIONS"] == options
    assert (made.entry["KEY_PREFIX"], made.entry["TIMEOUT"]) == ("shop", 60)
    configuration = parse("default", made.entry["LOCATION"], options)
    assert [node.address for node in configuration.layout.nodes] in (NODES, [SERVER])
    names = {}
    exec(made.code, names)
    assert names["CACHES"] == {"default": made.entry}


@pytest.mark.parametrize(
    "entry",
    [
        old(PYMEMCACHE, hasher=object),
        old(PYMEMCACHE, serde=object()),
        old(PYLIBMC, behaviors={"ketama": True, "hash": "md5"}),
        old(PYLIBMC, username="shop"),
        old(DJANGO_REDIS, SERVER, CLIENT_CLASS="django_redis.client.ShardClient"),
        old(DJANGO_REDIS, SERVER, SERIALIZER="shop.cache.Serializer"),
        old(REDIS, SERVER, serializer="shop.cache.Serializer"),
        old(PYMEMCACHE, "no address"),
    ],
)
def test_obstacles(entry):
    """What would keep old and new processes from sharing every key is said, by the name of its option."""
    made = plan("default", entry)
    assert made.obstacles and any(row["now"].startswith("not possible") for row in made.remarks)


def test_secrets_are_left_out():
    """A password in the old entry is in no part of what is shown."""
    made = plan("default", old(DJANGO_REDIS, "redis://shop:hunter2@10.0.0.1:6379/1", PASSWORD="hunter2"))
    assert "hunter2" not in f"{made.code}{made.remarks}" and made.entry["OPTIONS"]["password"]
    assert not made.obstacles


def test_replicas_and_weights():
    """Of several Redis servers the first takes the writes; of a weighted ring each node keeps its weight."""
    assert plan("default", old(REDIS, [SERVER, "redis://10.0.0.2"])).entry["LOCATION"] == SERVER
    weighted = plan("default", old(PYLIBMC, ["10.0.0.1:11211:2", NODES[1]], behaviors={"ketama_weighted": True}))
    assert weighted.entry["LOCATION"] == [{"address": NODES[0], "weight": 2}, NODES[1]]


@pytest.mark.parametrize("backend", ["django_dcache.backend.DistributedCache", "shop.cache.Cache"])
def test_other_backends(backend):
    """A backend that can't be adopted is refused with the names of those that can."""
    with pytest.raises(NotPossible):
        plan("default", old(backend))
