"""What a name server says of a fleet."""

from collections.abc import Iterator

import pytest

from dcache_manager.discovery.source import source
from dcache_manager.errors import SourceFailed
from django_dcache.errors import ConfigurationError
from support.name_server import NameServer


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


def ask(server: NameServer, text: str, **options: str) -> list[tuple[str, str]]:
    """What the source finds: (name, address) of each node."""
    query = "&".join(f"{key}={value}" for key, value in {"nameserver": server.address, **options}.items())
    return [(found.name, found.address) for found in source(f"{text}?{query}").read()]


def test_address_records(server: NameServer) -> None:
    """Each address is a node without a name, at the port that is named or at the usual one."""
    server.records["cache.test", "A"] = ["10.0.0.2", "10.0.0.1"]
    assert ask(server, "dns:cache.test:11299") == [("", "10.0.0.1:11299"), ("", "10.0.0.2:11299")]
    assert ask(server, "dns:cache.test") == [("", "10.0.0.1:11211"), ("", "10.0.0.2:11211")]


def test_addresses_of_both_kinds(server: NameServer) -> None:
    """A node that has an address of each kind is one node; addresses of version 6 count where there are no others."""
    server.records["cache.test", "AAAA"] = ["fd00::1"]
    assert ask(server, "dns:cache.test") == [("", "[fd00::1]:11211")]
    server.records["cache.test", "A"] = ["10.0.0.1"]
    assert ask(server, "dns:cache.test") == [("", "10.0.0.1:11211")]


def test_many_addresses(server: NameServer) -> None:
    """An answer that no datagram holds is asked for again over TCP: no node is left out."""
    server.records["cache.test", "A"] = [f"10.0.{n}.1" for n in range(200)]
    assert len(ask(server, "dns:cache.test")) == 200


def test_service_records(server: NameServer) -> None:
    """A headless service: a record for each pod, whose name stays. Case means nothing, nor do weights and order."""
    server.records["_memcache._tcp.cache.test", "SRV"] = [
        "0 33 11211 Cache-1.Cache.test.",
        "0 67 11211 cache-0.cache.test.",
        "0 0 11212 other.example.",
        "0 0 0 .",
    ]
    assert ask(server, "srv:_memcache._tcp.cache.test") == [
        ("cache-0", "cache-0.cache.test:11211"),
        ("cache-1", "cache-1.cache.test:11211"),
        ("other.example:11212", "other.example:11212"),
    ]


def test_another_engine(server: NameServer) -> None:
    """The scheme of the addresses can be named; the usual port is that of its engine."""
    server.records["cache.test", "SRV"] = ["0 0 6379 a.cache.test.", "0 0 6380 b.cache.test."]
    assert ask(server, "srv:cache.test", scheme="redis") == [
        ("a", "redis://a.cache.test:6379/0"),
        ("b:6380", "redis://b.cache.test:6380/0"),
    ]
    server.records["cache.test", "A"] = ["10.0.0.1"]
    assert ask(server, "dns:cache.test", scheme="redis") == [("", "redis://10.0.0.1:6379/0")]


@pytest.mark.parametrize("text", ["dns:cache.test", "srv:cache.test"])
def test_no_records(server: NameServer, text: str) -> None:
    """A name that does not exist, or has no such records, is an empty answer; a server that fails gives none."""
    assert ask(server, text) == []
    server.records["cache.test", "TXT"] = ["hello"]
    assert ask(server, text) == []
    server.failing = True
    with pytest.raises(SourceFailed, match="cache.test"):
        ask(server, text)


def test_a_record_that_is_no_node(server: NameServer) -> None:
    """What no fleet would take is an error, and no answer without it."""
    server.records["cache.test", "SRV"] = ["0 0 11211 a.cache.test.", "0 0 11211 a\\ b.cache.test."]
    with pytest.raises(SourceFailed, match="a.* b"):
        ask(server, "srv:cache.test")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("dns:cache.test?nameserver=nowhere.test", "nowhere.test"),
        ("dns:cache.test?name_server=10.0.0.1", "did you mean 'nameserver'"),
        ("dns:cache.test?nameserver", "OPTION=VALUE"),
        ("dns:cache.test?nameserver=10.0.0.1:dns", "Port"),
    ],
)
def test_no_name_server(text: str, complaint: str) -> None:
    """An option that can't be used is refused before a server is asked."""
    with pytest.raises(ConfigurationError, match=complaint):
        source(text)
