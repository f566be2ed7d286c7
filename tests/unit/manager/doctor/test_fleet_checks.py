"""What the doctor makes of a look at a fleet."""

from types import SimpleNamespace

import pytest

from dcache_manager.doctor.fleet_checks import check_clock, check_location
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
