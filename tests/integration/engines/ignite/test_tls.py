"""ignites://, end to end."""

import asyncio

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.errors import NodeUnreachable
from django_dcache.model.topology import Node
from django_dcache.testing import LocalIgnite
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from support.certificates import Authority
from support.ignite import needs_ignite


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Whose certificates the client trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority):
    """A server that speaks TLS only."""
    needs_ignite()
    with LocalIgnite(keystore=authority.keystore("ignite")) as server:
        yield server


def test_every_road(authority, secured):
    """Every value comes back over TLS, by threads and by event loops, small and large, alone and with others."""
    options = {"timeout": 10.0, "connect_timeout": 10.0, "tls": authority.context()}
    cache = DistributedCache([secured.address], {"OPTIONS": options})
    values = {f"k{number}": "x" * 4**number for number in range(10)} | {"number": 4}
    assert cache.set_many(values) == [] and cache.get_many(values) == values
    assert all(cache.get(key) == value for key, value in values.items())
    assert cache.incr("number") == 5 and cache.add("k0", 1) is False and cache.touch("k0")

    async def again():
        assert await cache.aget_many(values) == values | {"number": 5}
        assert await cache.aincr("number") == 6 and await cache.aset("k9", 1) and await cache.aget("k9") == 1

    asyncio.run(again())
    assert all(connection.direct for pool in cache.fleet.transport.pools().values() for connection in pool.idle)
    cache.fleet.close()


def test_a_stranger(secured):
    """A server whose certificate the system does not trust is no node."""
    cache = DistributedCache([secured.address], {"OPTIONS": {"timeout": 5.0, "on_error": "miss"}})
    assert cache.get("k") is None and cache.set("k", 1) is False
    assert {failure.cause for failure in cache.fleet.transport.failures().values()} == {"TLS fails"}
    cache.fleet.close()


def test_without_tls(secured):
    """A server that wants TLS is no node where the address does not ask for it."""
    with pytest.raises(NodeUnreachable):
        Connection.open(Node.at(secured.address.replace("ignites:", "ignite:")), Limits(timeout=1.0), 1.0)
