"""What the manager learns of a node."""

import time

from dcache_manager.inspection.node_query import ask
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits


def items(node, fleet="shop"):
    """How many the node says that it holds, to a command of this fleet."""
    return ask(Node.at(node.address), (), Limits(timeout=5.0, fleet=fleet), time.monotonic() + 5.0).reply.items


def test_an_empty_node(redis):
    """What a greeting leaves on a new node is no item: it joins a fleet as an empty one."""
    for fleet in ("shop", "blog"):
        Connection.open(Node.at(redis.address), Limits(timeout=5.0, fleet=fleet), 5.0).close()
        assert items(redis, fleet) == 0
    assert len(redis.items()) == 2, "two marks"
    redis.ask(b"SET key 1\r\n")
    assert items(redis) == 1
