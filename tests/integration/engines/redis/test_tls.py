"""rediss://, end to end."""

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.errors import NodeUnreachable
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from support.certificates import Authority, TlsRedis


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Whose certificates the client trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority):
    """Two nodes that speak TLS only and want a login."""
    nodes = [TlsRedis(*authority.sign(name), extra=("--requirepass", "s3cret")) for name in ("one", "two")]
    with nodes[0], nodes[1]:
        yield nodes


def located(nodes):
    """Their addresses with the login."""
    return [node.address.replace("://", "://default:s3cret@") for node in nodes]


@pytest.mark.parametrize("replicas", [1, 2])
def test_every_road(authority, secured, replicas):
    """Every value comes back over TLS, by the short cut and by the flows, small and large, alone and with others."""
    options = {"timeout": 10.0, "tls": authority.context(), "replicas": replicas, "fleet": f"tls{replicas}"}
    cache = DistributedCache(located(secured), {"OPTIONS": options})
    values = {f"k{number}": "x" * 4**number for number in range(10)} | {"number": 4}
    for _ in range(3):
        assert cache.set_many(values) == [] and cache.get_many(values) == values
        assert all(cache.get(key) == value for key, value in values.items())
        assert cache.incr("number") == 5 and cache.add("k0", 1) is False and cache.touch("k0")
        assert cache.get_or_set("made", lambda: "loaded") == "loaded" and cache.delete("made")
    assert all(connection.direct for pool in cache.fleet.transport.pools().values() for connection in pool.idle)
    cache.delete_many(values)
    assert cache.get_many(values) == {}
    cache.fleet.close()


def test_a_stranger(secured):
    """A server whose certificate the system does not trust is no node: nothing is said to it, not even the login."""
    cache = DistributedCache(located(secured), {"OPTIONS": {"timeout": 5.0, "on_error": "miss"}})
    assert cache.get("k") is None and cache.set("k", 1) is False
    assert {failure.cause for failure in cache.fleet.transport.failures().values()} == {"TLS fails"}
    cache.fleet.close()


def test_without_tls(redis):
    """A server that does not speak TLS is not spoken to in plain words where the address says `rediss`."""
    with pytest.raises(NodeUnreachable):
        Connection.open(Node.at(redis.address.replace("redis:", "rediss:")), Limits(timeout=1.0), 1.0)
