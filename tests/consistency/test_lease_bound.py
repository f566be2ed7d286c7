"""A lease belongs to the connection that issued it: numbers repeat after a restart (on real memcached)."""

import socket

from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.load import fetch_or_load
from django_dcache.flows.read import fetch
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalNode


def _tell(node: LocalNode, command: bytes) -> bytes:
    host, _, port = node.address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(command)
        return connection.recv(4096)


def test_token_of_a_node_that_restarted_while_the_loader_ran() -> None:
    """A loader that outlives its node does not overwrite what another process stored after the restart."""
    with LocalNode() as node:
        fleet = Fleet(parse("default", node.address, {"freshness": 3600}))
        fleet.run(fetch, [b"other"])  # The connection is one from the pool now.

        def load() -> Item:
            token = int(_tell(node, b"mg k c\r\n").split()[1][1:])
            node.restart()
            for _ in range(token - 1):
                _tell(node, b"ms filler 1\r\nx\r\n")
            _tell(node, b"ms k 3\r\nnew\r\n")
            return Item(0, b"old")

        fleet.run(fetch_or_load, b"k", load)
        assert fleet.run(fetch, [b"k"])[b"k"].data == b"new"
        for pool in fleet.transport.pools().values():
            pool.clear()
