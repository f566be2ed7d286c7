"""What is logged while real nodes fail, and come back."""

import logging
import ssl

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet, LocalNode, ScriptedNode
from support.waiting import until

OPTIONS = {"timeout": 0.2, "freshness": 0.2, "eject_after": 0}


def lines(caplog, *actions):
    return [record for record in caplog.records if record.action in actions]


@pytest.mark.parametrize(
    ("fail", "heal", "cause"),
    [("kill", "start", "nothing listens there"), ("freeze", "thaw", "it takes connections and does not answer")],
)
def test_a_node_that_fails_and_returns(caplog, fail, heal, cause):
    """A node that is lost makes one line, with the cause, and one more when it is back, however many calls fail."""
    caplog.set_level(logging.WARNING, "django_dcache")
    with LocalFleet(3) as nodes:
        cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS})
        keys = [f"k{number}" for number in range(30)]
        assert until(lambda: not cache.set_many(dict.fromkeys(keys, 1)))
        getattr(nodes.nodes[2], fail)()
        assert until(lambda: (cache.get_many(keys), lines(caplog, "node_down"))[1])
        cache.set_many(dict.fromkeys(keys, 2))
        getattr(nodes.nodes[2], heal)()
        assert until(lambda: (cache.get_many(keys), lines(caplog, "node_up"))[1])
        down, up = lines(caplog, "node_down", "node_up")
        assert down.node == up.node == nodes.addresses[2] and down.cause == cause
        assert up.failed > 0 and up.seconds > 0


@pytest.mark.parametrize(
    ("greeting", "cause"),
    [
        (b"CLIENT_ERROR unauthenticated\r\n", 'it wants a login, OPTIONS["username"] and ["password"]'),
        (b"ERROR Too many open connections\r\n", "it takes no more connections"),
        (b"ERROR\r\n", "it is too old"),
        (b"HTTP/1.1 400 Bad Request\r\n", "another service answers there"),
    ],
)
def test_a_server_that_cannot_be_used(caplog, greeting, cause):
    """What is wrong with a server is told by what it says to a greeting."""
    caplog.set_level(logging.WARNING, "django_dcache")
    with ScriptedNode(greeting, greets=False) as node:
        cache = DistributedCache(node.address, {"OPTIONS": OPTIONS})
        assert until(lambda: (cache.get("key"), lines(caplog, "node_down"))[1])
    assert lines(caplog, "node_down")[0].cause == cause


def test_a_node_without_tls(caplog):
    """A handshake that fails is told as such."""
    caplog.set_level(logging.WARNING, "django_dcache")
    with ScriptedNode(b"ERROR\r\n", greets=False) as node:
        cache = DistributedCache(node.address, {"OPTIONS": OPTIONS | {"tls": ssl.create_default_context()}})
        assert until(lambda: (cache.get("key"), lines(caplog, "node_down"))[1])
    assert lines(caplog, "node_down")[0].cause == "TLS fails"


def test_no_majority_names_the_keepers(caplog):
    """Without a majority one line says which keepers do not answer and why; it is not repeated by each call."""
    caplog.set_level(logging.WARNING, "django_dcache")
    with LocalFleet(3) as nodes:
        cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS})
        assert until(lambda: cache.set("key", 1))
        for node in nodes.nodes[:2]:
            node.kill()
        assert until(lambda: (cache.get("key"), lines(caplog, "state_unproven"))[1])
        for _ in range(50):
            cache.get("key")
        (line,) = lines(caplog, "state_unproven")
        assert set(line.keepers) <= set(nodes.addresses[:2]) and line.keepers


def test_values_that_nodes_refuse(caplog):
    """A value that a node refuses is told with its size, and without its key."""
    caplog.set_level(logging.WARNING, "django_dcache")
    with LocalNode(extra=["-I", "512k"]) as node:
        cache = DistributedCache(node.address, {"OPTIONS": OPTIONS | {"chunk_bytes": 0}})
        assert until(lambda: cache.set("key", 1))
        assert until(lambda: (cache.set("secret-name", "x" * 600_000), lines(caplog, "value_refused"))[1])
    (line,) = lines(caplog, "value_refused")
    assert line.bytes == 600_000 and "secret" not in line.getMessage()
