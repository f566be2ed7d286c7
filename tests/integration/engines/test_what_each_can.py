"""The table of engines and features in docs/reference/engines.md, row by row."""

import re

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.commands import Flush, Get, Store, Value
from django_dcache.engines import engine_of
from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.model.topology import Node
from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT
from support.ignite import needs_ignite

PAGE = (CHECKOUT / "docs/reference/engines.md").read_text()
ENGINES = ["memcached", "redis", "ignite", "memory"]
TABLE = {
    cells[0]: dict(zip(ENGINES, cells[1:], strict=True))
    for line in PAGE.splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 1 + len(ENGINES)
}


def say(fleet, *commands):
    """The replies of the first node."""
    (node, *_) = fleet.view.state.topology.nodes

    def flow(view):
        return (yield {node: list(commands)})[node]

    return fleet.run(flow)


def swaps_and_locks(cache):
    """Whether the calls of that row do what they say."""
    with cache.lock("lock", timeout=60) as lock:
        held = lock.owned() and 50 < cache.ttl("lock") <= 60
    cache.set("n", 1, nx=True)
    swapped = cache.cas("n", 1, 2, 60) and cache.persist("n") and cache.ttl("n") is None
    return held and swapped and cache.set("n", 3, xx=True, get=True) == 2 and cache.get("n") == 3


def takes_several(address):
    """Whether an address with one more server is one."""
    head, _, tail = address.rpartition(":")
    try:
        return len(Node.at(f"{head}:1,another:1{tail.lstrip('0123456789')}").endpoints) == 2
    except InvalidTopology:
        return False


def tells_last_read(engine):
    """Whether the manager can know of a key when it was read."""
    return engine.introspection is not None and engine.introspection.tells_last_read


def lists_keys(cache):
    """Whether the keys of a cache can be listed."""
    try:
        return cache.delete_pattern("n*") == 1
    except ConfigurationError:
        return False


@pytest.mark.parametrize("engine", ENGINES)
def test_the_table_is_true(engine):
    """What the table says of an engine is what its node does, or what its package offers."""
    if engine == "ignite":
        needs_ignite()
    with LocalFleet(1, engine) as nodes:
        cache = DistributedCache(nodes.addresses, {"OPTIONS": {"timeout": 5.0}})
        fleet, offered = cache.fleet, engine_of(Node.at(nodes.addresses[0]))
        (lease,) = say(fleet, Get(b":1:lease", lease=True))
        say(fleet, Store(b":1:k", 0, b"v", ttl=9.5), Store(b"another", 0, b"v"))
        (found,) = say(fleet, Get(b":1:k", ttl=True))
        say(fleet, Flush(b":"))
        (other,) = say(fleet, Get(b"another"))
        measured = {
            "`ttl`, `persist`, `cas`, `set(nx=, xx=, get=)`, `lock`": swaps_and_locks(cache),
            "`iter_keys`, `keys`, `delete_pattern`": lists_keys(cache),
            "`dcache-admin warm hot`: nodes tell when a key was read last": tells_last_read(offered),
            "short cut: an operation in two system calls": offered.hot is not None,
            "`dcache-admin`, warmers, resizes": offered.introspection is not None,
            "a reply says what it answers": offered.numbered,
            "a lease outlives its connection": lease.token.connection == 0,
            "a TTL has fractions of a second": found.ttl != int(found.ttl),
            "`clear()` leaves other software's keys": isinstance(other, Value),
            "an address may name several servers": takes_several(nodes.addresses[0]),
        }
        fleet.close()
    assert {row: TABLE[row][engine] for row in measured} == {
        row: "yes" if is_so else "no" for row, is_so in measured.items()
    }


def test_the_contract_covers_it():
    """Every engine of the table runs the cache's contract."""
    situations = (CHECKOUT / "tests/conformance/conftest.py").read_text()
    assert set(re.findall(r'"(memcached|redis|ignite|memory)"', situations)) == set(ENGINES)
