"""Addresses, as users write them and as the fleet spells them."""

import pytest

from django_dcache.errors import InvalidTopology
from django_dcache.model.addresses import Login, login, parse
from django_dcache.model.topology import Layout, Node, Topology


@pytest.mark.parametrize(
    ("written", "spelled", "name", "engine", "endpoint"),
    [
        ("a", "a:11211", "a", "memcached", ("a", 11211)),
        ("a:1", "a:1", "a:1", "memcached", ("a", 1)),
        ("[::1]:5", "[::1]:5", "[::1]:5", "memcached", ("::1", 5)),
        ("/run/m", "unix:/run/m", "/run/m", "memcached", "/run/m"),
        ("redis://a", "redis://a:6379/0", "a", "redis", ("a", 6379)),
        ("redis://u:p@A:7/3", "redis://A:7/3", "A:7/3", "redis", ("A", 7)),
        ("redis://a?db=3", "redis://a:6379/3", "a/3", "redis", ("a", 6379)),
        ("rediss://:p@[::1]", "rediss://[::1]:6379/0", "[::1]", "redis", ("::1", 6379)),
        ("valkey://a:1/", "valkey://a:1/0", "a:1", "redis", ("a", 1)),
        ("ignite://a", "ignite://a:10800/dcache", "a", "ignite", ("a", 10800)),
        ("ignites://u:p@A:7/shop", "ignites://A:7/shop", "A:7", "ignite", ("A", 7)),
        ("ignite://a,B:7,[::1]/c", "ignite://a:10800,B:7,[::1]:10800/c", "a", "ignite", ("a", 10800)),
        ("redis+unix:///r.sock?db=1", "redis+unix:///r.sock?db=1", "/r.sock/1", "redis", "/r.sock"),
        ("memory://tests", "memory://tests", "tests", "memory", ("tests", 0)),
    ],
)
def test_forms(written, spelled, name, engine, endpoint):
    """Each form has one spelling, which is read as itself again, a name, an engine, and where to connect to."""
    node = Node.at(written)
    assert (node.address, node.name, node.engine, node.endpoints[0]) == (spelled, name, engine, endpoint)
    assert str(parse(spelled)) == spelled


def test_several_servers():
    """A node of Ignite may be met at several servers, in the order in which they are named."""
    assert Node.at("ignite://u:p@a,b:7,[::1]/c").endpoints == [("a", 10800), ("b", 7), ("::1", 10800)]


@pytest.mark.parametrize(
    "written",
    [
        *("redis://", "redis://a:0", "redis://a:99999", "redis://a/x", "redis://a/-1", "redis://a?x=1", "redis://a b"),
        *("ignite://", "ignite://a:0", "ignite://a/b/c", "ignite://a?x=1", "ignite://a/-"),
        *("ignite://a,a/c", "ignite://a,/c", "ignite://,a/c", "ignite://u:secret@a,b:0/c", "redis://a,b/0"),
        "ignite://" + ",".join(f"h{number}" for number in range(17)),
        *("http://a", "redis+unix://a/b", "redis+unix://", "memory://", "memory://a/b", "memory://a b", "a b", "a:b"),
        *("redis://u:secret@a:99999", "ftp://u:secret@a"),
    ],
)
def test_what_is_no_address(written):
    """Anything else is refused by an error that says what to write, and never shows a password."""
    with pytest.raises(InvalidTopology) as refusal:
        Node.at(written)
    assert "secret" not in str(refusal.value)


def test_logins():
    """A login is read apart from the address, decoded, and never shown."""
    assert login("redis://a") is None and login("a:1") is None and login("redis://user@a") is None
    assert login("redis://:p%40%2C@a") == ("", "p@,")
    assert login("redis://u:p@a") == ("u", "p") and "p" not in repr(Login("u", "p")).removeprefix("Login")


def test_one_engine():
    """The nodes of a fleet are of one engine, and stay so when it is resized."""
    with pytest.raises(InvalidTopology, match="memcached, redis"):
        Layout((Node.at("a"), Node.at("redis://b")))
    with pytest.raises(InvalidTopology, match="ignite with the cache a, ignite with the cache b"):
        Layout((Node.at("ignite://a/a"), Node.at("ignite://b/b")))
    with pytest.raises(InvalidTopology, match="can't be resized to nodes of redis"):
        Topology(1, Layout((Node.at("a"),))).begin(Layout((Node.at("redis://b"),)))
