"""What the manager learns of a node."""

import time

from dcache_manager.inspection.node_query import ask
from django_dcache.model.topology import Node
from django_dcache.transport.limits import Limits


def test_an_empty_node(node):
    """What a greeting leaves on a new node is no item: it joins a fleet as an empty one."""

    def items():
        return ask(Node.at(node.address), (), Limits(timeout=5.0, fleet="shop"), time.monotonic() + 5.0).reply.items

    assert items() == items() == 0
    assert list(node.items()) == [b"_dc:shop:incarnation"]
    node.ask(b"set key 0 0 1\r\n1\r\n")
    assert items() == 1
