"""`dcache-admin state repair`: a keeper with a state that is not to be believed is named, and mended when asked to."""

import pytest

from dcache_manager.doctor.fleet_checks import examine
from dcache_manager.errors import NothingToRepair
from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.repair import repair
from dcache_manager.inspection.target import Target
from django_dcache.backend import DistributedCache
from django_dcache.errors import Conflict
from django_dcache.flows.consensus import agree
from django_dcache.flows.resize import new_fence
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.state import FleetState, state_key
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.testing import LocalFleet

TIMES = {"freshness": 10.0, "timeout": 5.0, "connect_timeout": 5.0, "request_budget": 60.0}
FORGED = FleetState(Topology(10**6, Layout((Node.at("10.6.6.6"),)))).encode()


@pytest.fixture
def nodes():
    with LocalFleet(3) as nodes:
        yield nodes


def cache_of(nodes, **options):
    return DistributedCache(nodes.addresses, {"OPTIONS": TIMES | {"eject_after": 0.0} | options})


def target_of(cache):
    configuration = cache.fleet.configuration
    return Target("default", configuration, configuration.layout, cache.make_key)


def plant(node, document):
    assert node.ask(b"set %b 0 0 %d\r\n%b\r\n" % (state_key("default"), len(document), document)) == b"STORED\r\n"


def test_one_keeper(nodes):
    """The keeper is named by status and doctor; repaired, it holds what the others hold, and no value is lost."""
    cache = cache_of(nodes)
    assert cache.set("key", "value")
    plant(nodes.nodes[1], FORGED)
    target, name = target_of(cache), nodes.addresses[1]
    seen = look(target, 5.0)
    assert list(seen.refused) == [name] and seen.proven
    assert [error["node"] for error in seen.errors()] == [name]
    failed = [finding for finding in examine(target, seen, 5.0) if finding.verdict == "fail"]
    assert [(finding.check, finding.node) for finding in failed] == [("state", name)]
    assert repair(target, seen, name)
    after = look(target, 5.0)
    assert not after.refused and after.states.keys() == after.topology.nodes.keys()
    assert cache.get("key") == "value"


def test_what_is_not_to_be_repaired(nodes):
    """A keeper whose state is believed is left alone, and one whose document has changed since the look."""
    cache = cache_of(nodes)
    cache.set("key", "value")
    target, name = target_of(cache), nodes.addresses[1]
    with pytest.raises(NothingToRepair):
        repair(target, look(target, 5.0), name)
    plant(nodes.nodes[1], FORGED)
    seen = look(target, 5.0)
    plant(nodes.nodes[1], FORGED.replace(b"10.6.6.6", b"10.6.6.7"))
    with pytest.raises(Conflict):
        repair(target, seen, name)


def test_every_keeper(nodes):
    """Where no state is left to be believed the fleet is planted anew, and no value of before is read again."""
    old = cache_of(nodes, sign_state="off")
    assert old.set("key", "old")
    (place,) = old.fleet.view.place(old.make_key("key").encode()).route.read
    old.fleet.run(lambda view: bumped(view, place))
    cache = cache_of(nodes)
    assert not cache.set("key", "new") and not cache.fleet.proven
    target = target_of(cache)
    for name in nodes.addresses:
        repair(target, look(target, 5.0), name)
    assert look(target, 5.0).proven and not look(target, 5.0).refused
    fresh = cache_of(nodes, idle_connections=63)
    assert fresh.get("key") is None and fresh.fleet.proven
    assert all(fresh.fleet.view.generation(name, WHOLE_NODE) > 1 for name in nodes.addresses)


def bumped(view, node):
    return (yield from agree(view, lambda state: state.bumped_whole(node)))


def test_a_proven_fleet_changes(nodes):
    """With one keeper silent for what it holds, the fleet can still be changed."""
    cache = cache_of(nodes)
    cache.set("key", "value")
    plant(nodes.nodes[1], FORGED)
    assert cache.fleet.run(new_fence) == 1
