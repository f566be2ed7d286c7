"""ElastiCache and Memorystore: the endpoint that knows the nodes."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from dcache_manager.discovery.answer import Found
from dcache_manager.discovery.configuration_endpoint import ConfigurationEndpoint
from dcache_manager.discovery.source import source
from dcache_manager.errors import SourceFailed
from django_dcache.errors import ConfigurationError
from django_dcache.testing import CLOSE, Dribble, LocalNode, ScriptedNode
from support.certificates import Authority
from support.cloud_endpoint import CloudEndpoint, configuration


@pytest.fixture
def endpoint(node: LocalNode) -> Iterator[CloudEndpoint]:
    with CloudEndpoint(node) as endpoint:
        yield endpoint


def ask(address: str) -> list[tuple[str, str]]:
    """(name, address) of each node."""
    return [(found.name, found.address) for found in source(f"elasticache:{address}").read()]


def test_nodes_with_names(endpoint: CloudEndpoint) -> None:
    """A node's host name stays when it is replaced: it is its name, and its address is looked up by each process."""
    endpoint.nodes = ["shop.x.0002.cache.example|10.0.0.2|11211", "shop.x.0001.cache.example|10.0.0.1|11211"]
    assert ask(endpoint.address) == [
        ("shop.x.0001.cache.example", "shop.x.0001.cache.example:11211"),
        ("shop.x.0002.cache.example", "shop.x.0002.cache.example:11211"),
    ]


def test_nodes_without_names(endpoint: CloudEndpoint) -> None:
    """Where the address stands in the place of the host name, or alone, the node has no name."""
    endpoint.nodes = ["10.0.0.1|10.0.0.1|11211", "|10.0.0.2|11212", "fd00::1|fd00::1|11211"]
    assert list(source(f"memorystore:{endpoint.address}").read()) == [
        Found("10.0.0.1:11211"),
        Found("10.0.0.2:11212"),
        Found("[fd00::1]:11211"),
    ]


def test_no_nodes(endpoint: CloudEndpoint) -> None:
    """A cluster without a node is an empty answer."""
    assert ask(endpoint.address) == []


def test_a_thousand_nodes(endpoint: CloudEndpoint) -> None:
    """An answer that comes in many pieces is put together."""
    endpoint.nodes = [
        f"shop.x.{number:04}.cache.example|10.0.{number // 250}.{number % 250}|1" for number in range(1000)
    ]
    assert len(ask(endpoint.address)) == 1000


def test_a_node_is_no_endpoint(node: LocalNode) -> None:
    """A memcached that knows no `config` is an error that shows what it said."""
    with pytest.raises(SourceFailed, match="ERROR.*want CONFIG cluster"):
        ask(node.address)


@pytest.mark.parametrize(
    "said",
    [
        configuration(1, ["10.0.0.1|11211"]),
        configuration(1, ["10.0.0.1|10.0.0.1|port"]),
        configuration(1, ["10.0.0.1|10.0.0.1|11211|x"]),
        configuration(1, ["a b|10.0.0.1|11211"]),
        configuration(1, ["a\x1b[2J|10.0.0.1|11211"]),
        configuration(1, ["ü|10.0.0.1|11211"]),
        configuration(1, ["10.0.0.1|10.0.0.1|11211"])[:-20],
        b"CONFIG cluster 0 5\r\nx\ny\n\r\nEND\r\n",
        b"CONFIG cluster 0 99999999\r\n" + b"x" * 2**18,
        b"END\r\n",
        b"\r\n",
    ],
)
def test_bad_answers(said: bytes) -> None:
    """What is no configuration, or half of one, is an error and no answer; it never fills the memory."""
    with ScriptedNode((said, CLOSE)) as endpoint, pytest.raises(SourceFailed):
        ask(endpoint.address)


def test_an_endpoint_that_dawdles() -> None:
    """It has one deadline for its whole answer, in however many pieces that comes."""
    slow = Dribble(configuration(1, ["a|10.0.0.1|1"] * 100), 0.05)
    with ScriptedNode(slow) as endpoint, pytest.raises(SourceFailed, match="timed out"):
        ConfigurationEndpoint(endpoint.address, seconds=0.3).read()


def test_an_endpoint_that_is_away(node: LocalNode) -> None:
    """No connection is no answer."""
    node.kill()
    with pytest.raises(SourceFailed, match="refused"):
        ask(node.address)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("unix:/run/memcached", "want HOST:PORT"),
        ("a:port", "no address"),
        ("a?tls=1", "want yes or no"),
        ("a?tsl=yes", "did you mean 'tls'"),
    ],
)
def test_no_endpoint(text: str, complaint: str) -> None:
    """What can't be an endpoint is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match=complaint):
        source(f"elasticache:{text}")


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `tls=yes` the endpoint must show a certificate of an authority that this machine trusts."""
    authority = Authority(tmp_path)
    context = authority.server_context(*authority.sign("endpoint"))
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        endpoint = source(f"elasticache:127.0.0.1:{listening.getsockname()[1]}?tls=yes")

        def serve() -> None:
            with suppress(ssl.SSLError), context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                assert connection.recv(100) == b"config get cluster\r\n"
                connection.sendall(configuration(1, ["a|10.0.0.1|11211"]))

        pool.submit(serve)
        with pytest.raises(SourceFailed, match="certificate verify failed"):
            endpoint.read()
        monkeypatch.setenv("SSL_CERT_FILE", authority.certificate)
        endpoint = source(f"elasticache:127.0.0.1:{listening.getsockname()[1]}?tls=yes")
        pool.submit(serve)
        assert list(endpoint.read()) == [Found("a:11211", "a")]
