"""Nodes that want a login: the right one, a wrong one, none, one that changes; and that it is never shown."""

import logging
import os
import signal
from contextlib import ExitStack

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.conf import Options
from django_dcache.errors import ConfigurationError, NotGreeted
from django_dcache.model.addresses import Login
from django_dcache.model.topology import Node
from django_dcache.testing import LocalNode, ScriptedNode
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

OPTIONS = {"timeout": 5.0, "connect_timeout": 5.0, "request_budget": 60.0, "freshness": 10.0}
PASSWORD = "pass:é"


@pytest.fixture
def logins(tmp_path):
    """The file of logins."""
    file = tmp_path / "logins"
    file.write_text(f"shop:{PASSWORD}\n")
    return file


@pytest.fixture
def node(logins):
    with LocalNode(extra=["-Y", str(logins)]) as node:
        yield node


@pytest.fixture
def cache_of(node):
    with ExitStack() as stack:

        def made(**options):
            cache = DistributedCache([node.address], {"OPTIONS": OPTIONS | options})
            stack.callback(cache.fleet.close)
            return cache

        yield made


def works(cache):
    return cache.set("key", "value") and cache.get("key") == "value" and cache.get_many(["key"]) == {"key": "value"}


def opened(node, *login):
    logins = ((node.address, Login(*login)),) if login else ()
    return Connection.open(Node.at(node.address), Limits(logins=logins), 5.0)


def test_a_login(cache_of):
    """With the right login every operation works; the password is text, a function, or in the environment."""
    assert works(cache_of(username="shop", password=PASSWORD))
    assert works(cache_of(username=lambda: "shop", password=lambda: PASSWORD))
    os.environ["DCACHE_TESTS_PASSWORD"] = PASSWORD
    try:
        assert works(cache_of(username="shop", password={"env": "DCACHE_TESTS_PASSWORD"}))
    finally:
        del os.environ["DCACHE_TESTS_PASSWORD"]


def test_wrong_and_missing_logins(node, cache_of):
    """With a wrong login, or none, a node can't be used; the error says which, and a miss comes of it."""
    with pytest.raises(NotGreeted, match="refuses the login"):
        opened(node, "shop", "wrong")
    with pytest.raises(NotGreeted) as error:
        opened(node)
    assert "username" in error.value.cause
    for options in ({}, {"username": "shop", "password": "wrong"}):
        cache = cache_of(**options)
        assert not cache.set("key", "value") and cache.get("key") is None


def test_a_login_that_changes(node, logins, cache_of):
    """Connections that are open stay, and new ones are made with what the function returns by then."""
    known = [PASSWORD]
    cache = cache_of(username="shop", password=lambda: known[-1])
    assert works(cache)
    logins.write_text("shop:changed\n")
    node.process.send_signal(signal.SIGHUP)
    while True:
        try:
            opened(node, "shop", "changed").close()
            break
        except NotGreeted:
            continue
    assert works(cache)
    cache.fleet.close()
    assert not cache.set("key", "other")
    known.append("changed")
    fresh = cache_of(username="shop", password=lambda: known[-1], idle_connections=63)
    assert works(fresh)


def test_a_function_that_fails(cache_of):
    """A function that raises, or returns no text, makes the node unreachable: no call raises what it raised."""
    for broken in (lambda: 1 / 0, lambda: None):
        cache = cache_of(username="shop", password=broken)
        assert not cache.set("key", "value") and cache.get("key") is None


def test_a_node_without_logins():
    """A node that takes everybody stores nothing of a login, and is used."""
    with LocalNode() as node:
        opened(node, "shop", PASSWORD).close()
        assert node.ask(b"mg _dc:login v\r\n") == b"EN\r\n"


def test_what_is_never_shown(caplog, node):
    """A password is in no representation, no error and no line of the log, not even if a server repeats it."""
    options = Options(username="shop", password=PASSWORD)
    limits = Limits(logins=((node.address, Login("shop", PASSWORD)),), common_login=options.login)
    assert PASSWORD not in repr(options) + repr(limits) + repr(options.login())
    with caplog.at_level(logging.DEBUG), ScriptedNode(lambda command, number: command + b"\r\n", greets=False) as echo:
        with pytest.raises(NotGreeted) as error:
            opened(echo, "shop", PASSWORD)
        assert "pass" not in str(error.value)
        cache = DistributedCache([echo.address], {"OPTIONS": {"username": "shop", "password": PASSWORD}})
        assert cache.get("key") is None
        cache.fleet.close()
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("wrong", [7, "", {"env": "DCACHE_TESTS_NOWHERE"}, {"environment": "HOME"}, b"secret-bytes"])
def test_options(wrong):
    """A password that is none is refused when it is configured, and the error does not show it."""
    with pytest.raises(ConfigurationError, match="password") as error:
        Options(username="shop", password=wrong)
    assert "secret-bytes" not in str(error.value)
