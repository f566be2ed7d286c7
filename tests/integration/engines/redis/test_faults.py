"""Servers that refuse, and those that are no node: what a site sees of them."""

import time

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.errors import NoReplica, NotGreeted
from django_dcache.model.topology import Node
from django_dcache.testing import LocalFleet, LocalRedis, ScriptedNode
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits


def config(node, *parts):
    assert node.ask(" ".join(("CONFIG", "SET", *parts)).encode() + b"\r\n") == b"+OK\r\n"


def test_full(redis, cache_of):
    """A full server that evicts nothing stores nothing: a set is False, the old value is gone, and reads go on."""
    cache = cache_of(redis)
    cache.set("key", "old")
    cache.set("other", 5)
    config(redis, "maxmemory-policy", "noeviction")
    config(redis, "maxmemory", "1")
    assert cache.set("key", "new") is False and cache.get("key") is None
    assert cache.get("other") == 5 and cache.add("third", 1) is False
    assert cache.get_or_set("fourth", lambda: "loaded") == "loaded"
    config(redis, "maxmemory", "0")
    assert cache.set("key", "newer") and cache.get("key") == "newer"


def test_disk_full(redis, cache_of):
    """A server that refuses every write, as after a failed save, holds nothing that is read as if nothing had been
    written."""
    cache = cache_of(redis)
    cache.set("key", "old")
    redis.ask(b"ACL SETUSER default -set -unlink -eval\r\n")
    assert cache.set("key", "new") is False
    redis.ask(b"ACL SETUSER default +@all\r\n")
    assert cache.get("key") is None


def test_becomes_a_replica(cache_of):
    """A master that becomes a replica is no node: nothing is written to it, and nothing read once that is known."""
    with LocalFleet(2, "redis") as fleet:
        one, two = fleet.nodes
        cache = cache_of(one, on_error="raise")
        cache.set("key", "old")
        host, _, port = two.endpoint.rpartition(":")
        assert one.ask(f"REPLICAOF {host} {port}\r\n".encode()) == b"+OK\r\n"
        with pytest.raises(NoReplica):
            cache.set("key", "new")
        with pytest.raises(NotGreeted, match="replica"):
            Connection.open(Node.at(one.address), Limits(), 5.0)


def test_cluster(tmp_path):
    """A node of a Redis Cluster sends keys elsewhere, and is refused before anything is sent to it."""
    with LocalRedis(extra=("--cluster-enabled", "yes", "--dir", str(tmp_path))) as node:
        with pytest.raises(NotGreeted, match="Redis Cluster"):
            Connection.open(Node.at(node.address), Limits(), 5.0)


@pytest.mark.parametrize("words", ["LOADING Redis is loading the dataset", "BUSY Redis is busy", "NOAUTH", "ERR hello"])
def test_not_ready(words):
    """A server that loads its data, hangs in a script, wants a login or is too old is no node yet."""
    with ScriptedNode(f"-{words}\r\n".encode(), greets=False) as node:
        with pytest.raises(NotGreeted, match=words.split()[0]):
            Connection.open(Node.at(f"redis://{node.address}"), Limits(), 5.0)


def test_login():
    """The login in LOCATION is said to each node, the database chosen, and neither is shown."""
    acl = "--user shop on >s,cret ~* &* +@all --user default off".split()
    with LocalRedis(extra=acl) as node:
        address = node.address.replace("redis://", "redis://shop:s%2Ccret@").removesuffix("0") + "3"
        cache = DistributedCache([address], {"OPTIONS": {"timeout": 5.0}})
        assert cache.set("key", 5) and cache.get("key") == 5
        assert "s,cret" not in repr(cache.fleet.configuration) and "cret" not in repr(cache.fleet.view.state)
        with pytest.raises(NotGreeted, match="NOAUTH"):
            Connection.open(Node.at(node.address), Limits(), 5.0)
        cache.fleet.close()


def test_unix_socket():
    """A node on a Unix socket is a node like any other."""
    with LocalRedis(unix=True) as node:
        cache = DistributedCache([node.address], {"OPTIONS": {"timeout": 5.0}})
        assert cache.set("key", 5) and cache.incr("key") == 6
        cache.fleet.close()


def test_busy_script(redis, cache_of):
    """While a script of another client runs for ever every call ends in time, and afterwards the node is back."""
    cache = cache_of(redis, timeout=0.25)
    cache.set("key", 5)
    config(redis, "lua-time-limit", "10")
    with pytest.raises(OSError):
        redis.ask(b"EVAL 'while true do end' 0\r\n", timeout=0.1)
    began = time.monotonic()
    assert cache.get("key") is None and cache.set("key", 6) is False
    assert time.monotonic() - began < 2.0
    assert redis.ask(b"SCRIPT KILL\r\n") == b"+OK\r\n"
