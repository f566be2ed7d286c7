"""What the doctor makes of a look at a fleet."""

from types import SimpleNamespace

import pytest

from dcache_manager.doctor.fleet_checks import ITEM_BYTES, check_clock, check_item_sizes, check_location
from dcache_manager.inspection.target import Target
from django_dcache.conf import parse
from django_dcache.engines.memcached.introspection import MemcachedReply
from django_dcache.model.topology import Layout, Node, Topology


@pytest.mark.parametrize(
    ("told", "verdict"), [("1000", "ok"), ("999", "ok"), ("1002", "ok"), ("1010", "warn"), ("0", "warn"), ("x", "warn")]
)
def test_clocks(told, verdict):
    """A node's clock may differ from ours by what whole seconds can't tell, and no more."""
    assert check_clock("a", MemcachedReply(statistics={"time": told}), 1000.7).verdict == verdict


@pytest.mark.parametrize(
    ("sizes", "verdict", "says"),
    [
        ({"a": 2**20, "b": 2**20}, "ok", "1,048,576"),
        ({"a": 2**20, "b": 2**21}, "warn", "b 2,097,152"),
        ({"a": 2**20, "b": 2**19}, "warn", "b takes 524,288"),
        ({"a": 10**6 + ITEM_BYTES - 1}, "warn", "chunk of 1,000,000"),
        ({"a": 10**6 + ITEM_BYTES}, "ok", "everywhere"),
    ],
)
def test_item_sizes(sizes, verdict, says):
    """Limits that differ between nodes are a finding, and one that is below a chunk, which tells what to write."""
    (found,) = check_item_sizes(sizes, 1_000_000)
    assert found.verdict == verdict and says in found.detail
    assert list(check_item_sizes({}, 1_000_000)) == []


@pytest.mark.parametrize(
    ("location", "verdict", "says"),
    [
        (["10.0.0.1"], "ok", "is what it says"),
        (["10.0.0.1", "10.0.0.2"], "warn", "add 10.0.0.2"),
        (["10.0.0.9", "10.0.0.1:5000"], "warn", "remove 10.0.0.1"),
        (["other=10.0.0.1"], "fail", "calls it '10.0.0.1'"),
    ],
)
def test_locations(location, verdict, says):
    """A LOCATION that differs from the fleet is a finding; one that renames a node fails, and the doctor continues."""
    nodes = [Node.at(address, name) for name, _, address in (entry.rpartition("=") for entry in location)]
    configuration = parse("default", "10.0.0.1")
    target = Target("default", configuration, Layout(tuple(nodes)))
    seen = SimpleNamespace(topology=Topology(3, Layout((Node.at("10.0.0.1"),))), planted=True, reports={})
    (found,) = check_location(target, seen)
    assert found.verdict == verdict and says in found.detail
