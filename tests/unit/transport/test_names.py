"""The addresses of names: asked for by a thread, waited for once, kept while nothing newer comes."""

import socket
import threading
from contextlib import suppress

import pytest

from django_dcache.errors import NodeUnresolved
from django_dcache.testing import ManualClock
from django_dcache.transport.names import AGAIN_SECONDS, FRESH_SECONDS, MAX_LOOKUPS, Resolver

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
HERE = (V4, "127.0.0.1", ())


class NameServer:
    """Answers what it is told to. While it is `silent`, a lookup takes until it speaks again."""

    def __init__(self):
        self.asked, self.hosts = [], [HERE]
        self.speaks = threading.Event()
        self.speaks.set()

    def __call__(self, host):
        self.asked.append(host)
        self.speaks.wait(10)
        if not self.hosts:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return self.hosts


@pytest.fixture
def server():
    server = NameServer()
    yield server
    server.speaks.set()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def resolver(server, clock):
    return Resolver(server, clock)


def settled(resolver, host="cache"):
    """Wait until no lookup of the name is under way."""
    assert resolver._names[host].done.wait(10)


def test_an_address_needs_no_name_server(resolver, server):
    """What is an address already is not asked for."""
    assert resolver.addresses("127.0.0.1", 11211, 1) == [(V4, ("127.0.0.1", 11211))]
    assert resolver.addresses("::1", 11211, 1) == [(V6, ("::1", 11211))]
    assert not server.asked


def test_all_addresses(resolver, server):
    """A name has all of its addresses, in the system's order."""
    server.hosts = [(V6, "::1", (0, 0)), HERE]
    assert resolver.addresses("cache", 1, 5) == [(V6, ("::1", 1, 0, 0)), (V4, ("127.0.0.1", 1))]


def test_the_one_that_answered_comes_first(resolver, server, clock):
    """The address that took a connection is tried first from then on, also after the next lookup."""
    server.hosts = [(V6, "::1", (0, 0)), HERE]
    resolver.addresses("cache", 1, 5)
    resolver.answered("cache", "127.0.0.1")
    assert resolver.addresses("cache", 1, 5)[0] == (V4, ("127.0.0.1", 1))
    clock.advance(FRESH_SECONDS + 1)
    resolver.addresses("cache", 1, 5)
    settled(resolver)
    assert resolver.addresses("cache", 1, 5)[0] == (V4, ("127.0.0.1", 1)) and len(server.asked) == 2


def test_a_silent_name_server_is_waited_for_once(resolver, server, clock):
    """The first caller waits for as long as it can; those that come later are told at once, and no thread is added."""
    server.speaks.clear()
    with pytest.raises(NodeUnresolved, match="has not answered yet"):
        resolver.addresses("cache", 1, 0.01)
    clock.advance(60)
    for _ in range(50):
        with pytest.raises(NodeUnresolved):
            resolver.addresses("cache", 1, 5)
    assert server.asked == ["cache"]
    server.speaks.set()
    settled(resolver)
    assert resolver.addresses("cache", 1, 0) == [(V4, ("127.0.0.1", 1))]


def test_the_last_good_address_is_kept(resolver, server, clock):
    """A name that was resolved once keeps its addresses while its server is silent or fails."""
    resolver.addresses("cache", 1, 5)
    server.hosts = []
    for _ in range(3):
        clock.advance(FRESH_SECONDS + 1)
        assert resolver.addresses("cache", 1, 0) == [(V4, ("127.0.0.1", 1))]


def test_a_name_that_fails_is_asked_for_again(resolver, server, clock):
    """A failed lookup is not repeated by every call, and not given up either."""
    server.hosts = []
    for _ in range(5):
        with pytest.raises(NodeUnresolved, match=r"cache"):
            resolver.addresses("cache", 1, 5)
    settled(resolver)
    assert len(server.asked) == 1
    server.hosts = [HERE]
    clock.advance(AGAIN_SECONDS + 0.1)
    with suppress(NodeUnresolved):  # The thread may have been faster.
        resolver.addresses("cache", 1, 0)
    settled(resolver)
    assert resolver.addresses("cache", 1, 5) and len(server.asked) == 2


def test_a_name_that_moved(resolver, server, clock):
    """When no address of a name takes a connection, it is asked for anew, before its addresses are old."""
    resolver.addresses("cache", 1, 5)
    server.hosts = [(V4, "127.0.0.2", ())]
    clock.advance(AGAIN_SECONDS + 0.1)
    resolver._names["cache"].done.clear()
    resolver.refresh("cache")
    settled(resolver)
    assert resolver.addresses("cache", 1, 0) == [(V4, ("127.0.0.2", 1))]


def test_threads_do_not_pile_up(resolver, server):
    """However many names a silent server keeps waiting, only so many threads ask."""
    server.speaks.clear()
    for number in range(3 * MAX_LOOKUPS):
        with pytest.raises(NodeUnresolved):
            resolver.addresses(f"cache-{number}", 1, 0)
    asking = [name for name in resolver._names.values() if name.asking]
    assert len(asking) == MAX_LOOKUPS


def test_a_child_asks_by_itself(resolver, server):
    """A forked child does not wait for a thread of its parent."""
    server.speaks.clear()
    with pytest.raises(NodeUnresolved):
        resolver.addresses("cache", 1, 0)
    resolver.after_fork()
    server.speaks.set()
    assert resolver.addresses("cache", 1, 5) == [(V4, ("127.0.0.1", 1))]
