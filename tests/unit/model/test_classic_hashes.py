"""The hashes of clients that do not place keys by md5; tests/conformance/test_ketama_vectors.py asked those clients."""

import pytest
from pymemcache.client.murmur3 import murmur3_32
from pymemcache.client.rendezvous import RendezvousHash

from django_dcache.errors import InvalidTopology
from django_dcache.model.classic_hashes import label, murmur3, rendezvous
from django_dcache.model.topology import Layout, Node

TEXTS = ["", "a", "ab", "abc", "abcd", "127.0.0.1:11211-:1:shop.product:17", "x" * 250]


@pytest.mark.parametrize("text", TEXTS)
def test_murmur3(text: str) -> None:
    """It is the hash that pymemcache has, for every length of the tail."""
    assert murmur3(text.encode()) == murmur3_32(text)


@pytest.mark.parametrize("key", ["é", "ключ", "鍵鍵鍵", "k\U0001f511"])
def test_characters_beyond_ascii(key: str) -> None:
    """Of characters that take more than a byte pymemcache hashes the lowest byte alone, and so does the ring."""
    names = ["10.0.0.1", "10.0.0.2:5000", "/run/cache.sock"]
    asked = RendezvousHash([label(name) for name in names]).get_node(key)
    assert label(names[rendezvous(names)(key.encode())]) == asked


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("cache1", "cache1:11211"),
        ("cache1:5000", "cache1:5000"),
        ("[::1]", "::1:11211"),
        ("[::1]:5000", "::1:5000"),
        ("/run/cache.sock", "/run/cache.sock"),
    ],
)
def test_labels(name: str, called: str) -> None:
    """A node has the label that pymemcache gives a server at its address."""
    assert label(name) == called


@pytest.mark.parametrize("mode", ["ketama-unweighted", "rendezvous", "modula"])
def test_weights(mode: str) -> None:
    """A ring that knows no weights refuses them, and says so."""
    with pytest.raises(InvalidTopology, match="knows no weights"):
        Layout((Node.at("10.0.0.1", weight=2), Node.at("10.0.0.2")), ring=mode)
