"""A node's address that leads to several servers."""

from itertools import cycle
from time import monotonic

import pytest

from dcache_manager.doctor import one_server
from django_dcache.model.topology import Node
from django_dcache.testing import LocalNode
from django_dcache.transport.limits import Limits

KEY = b"_dc:f:doctor:1"


def look(*addresses):
    """What is found where each connection leads to the next of these servers."""
    paths = cycle(addresses)
    how = Limits(5.0, 5.0, address_remap=lambda _: next(paths))
    return one_server.check(Node.at("cache:11211"), KEY, how, monotonic() + 20)


@pytest.mark.parametrize("pods", [1, 2, 3])
def test_servers_behind_one_name(pods):
    """One server is fine, and leaves nothing; two or three in turn are found, with what to do."""
    nodes = [LocalNode().start() for _ in range(pods)]
    try:
        found = look(*(node.address for node in nodes))
        assert found.verdict == ("ok" if pods == 1 else "fail") and found.node == "cache"
        assert ("StatefulSet" in found.fix) is (pods > 1)
        assert pods > 1 or not nodes[0].items()
    finally:
        for node in nodes:
            node.stop()


def test_a_server_that_goes():
    """A node that does not answer is no finding of this check."""
    node = LocalNode().start()
    node.kill()
    assert look(node.address).verdict == "warn"
