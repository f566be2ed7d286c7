"""What a server is asked first, and what is made of the answer."""

import pytest

from django_dcache.errors import NotGreeted
from django_dcache.model.addresses import Login
from django_dcache.model.topology import Node
from django_dcache.testing import LocalIgnite
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from support.ignite import needs_ignite


def test_a_cache_that_is_missing(server):
    """A server without the cache that an address names is no node, and its words say what to do."""
    with pytest.raises(NotGreeted, match="no cache 'another': add it"):
        Connection.open(Node.at(f"ignite://{server.endpoint}/another"), Limits(fleet="shop"), 10.0)


def test_a_server_of_another_run_is_known(server, ignite):
    """What a server holds that another run of it wrote is known by its mark; of this run it is trusted."""
    node, limits = Node.at(server.address), Limits(timeout=5.0, fleet="shop")
    Connection.open(node, limits, 10.0).close()
    connection = Connection.open(node, limits, 10.0)
    assert connection.returned == ""
    connection.close()


def test_an_idle_connection_is_looked_at(server, ignite):
    """What was idle is asked whether it is still there, without the handshake that can't be made twice."""
    connection = Connection.open(Node.at(server.address), Limits(timeout=5.0, fleet="shop"), 10.0)
    for _ in range(2):
        connection.greet(10.0)
    assert connection.returned == ""
    connection.close()


def test_logins():
    """A server that wants a login lets in who has it, and says to others why it does not."""
    needs_ignite()
    with LocalIgnite(login=True) as server:
        node = Node.at(server.address)
        login = ((node.address, Login("ignite", "ignite")),)
        Connection.open(node, Limits(timeout=5.0, logins=login), 30.0).close()
        for wrong in ((), ((node.address, Login("ignite", "wrong")),)):
            with pytest.raises(NotGreeted, match="(?i)user|authent|login|password"):
                Connection.open(node, Limits(timeout=5.0, logins=wrong), 30.0)
