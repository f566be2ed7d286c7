"""What the manager learns of a node."""

import time

from dcache_manager.inspection.node_query import ask
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits


def items(node, fleet="shop"):
    """How many the node says that it holds, to a command of this fleet."""
    return ask(Node.at(node.address), (), Limits(timeout=10.0, fleet=fleet), time.monotonic() + 10.0).reply.items


def test_an_empty_node(ignite, cache_of):
    """What a greeting leaves on a new node is no item: it joins a fleet as an empty one."""
    for fleet in ("shop", "blog"):
        Connection.open(Node.at(ignite.address), Limits(timeout=10.0, fleet=fleet), 10.0).close()
        assert items(ignite, fleet) == 0
    assert len(ignite.items()) == 2, "two marks"
    assert cache_of(ignite).set("k", 1)
    assert items(ignite) > 1
