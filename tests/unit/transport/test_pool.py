"""The connections of one node."""

import pytest

from django_dcache.errors import NodeTimeout, NodeUnreachable
from django_dcache.model.topology import Node
from django_dcache.transport.breaker import Breaker
from django_dcache.transport.limits import Limits
from django_dcache.transport.observer import Observer
from django_dcache.transport.pool import Pool


def test_a_failure_keeps_no_frames(tmp_path):
    """What a pool knows of the last failure holds none of the frames that it passed, nor their connections."""
    pool = Pool(Node.at(f"unix:{tmp_path}/none"), Limits(), Breaker())
    with pytest.raises(NodeUnreachable) as raised:
        pool.take(1.0)
    assert str(pool.failure) == str(raised.value)
    assert pool.failure.__traceback__ is pool.failure.__context__ is None


def test_a_node_fails():
    """That a node fails which had answered is told once, and again after it has answered."""

    class Told(Observer):
        times = 0

        def node_fails(self):
            self.times += 1

    told = Told()
    pool = Pool(Node.at("n"), Limits(), Breaker(), told)
    for expected in (1, 1, 1, 1):
        pool.failed(NodeTimeout(node="n"))
        assert told.times == expected
    pool.succeeded()
    pool.failed(NodeTimeout(node="n"))
    assert told.times == 2
