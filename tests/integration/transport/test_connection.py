"""What becomes of sockets."""

import warnings

import pytest

from django_dcache.errors import NodeUnreachable
from django_dcache.model.topology import Node
from django_dcache.testing import LocalNode
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits


def test_connection_that_is_dropped(node: LocalNode) -> None:
    """A connection that nobody refers to any more is closed, and that is no reason for a ResourceWarning."""
    connection = Connection.open(Node.at(node.address), Limits(), 1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del connection
    assert not caught


def test_connection_that_fails_while_it_is_set_up(node: LocalNode) -> None:
    """A socket that connects and then can't be set up, as a reset one on macOS, is a node that can't be reached."""

    class Reset(Connection):
        def __init__(self, *arguments: object) -> None:
            raise OSError("Invalid argument")

    with pytest.raises(NodeUnreachable, match="Invalid argument"):
        Reset.open(Node.at(node.address), Limits(), 1.0)
