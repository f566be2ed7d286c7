"""A node that holds one value, and a connection to it over a network."""

import pytest

from django_dcache.testing import dial
from support.raw_client import HIT, ask


@pytest.fixture
def hello(node):
    """The node has "hello" under k."""
    node.ask(b"ms k 5\r\nhello\r\n")


@pytest.fixture
def client(proxy, hello):
    """A connection that has been used before."""
    with dial(proxy.address) as client:
        assert ask(client) == HIT
        yield client
