"""Dumping and loading while nodes are away, hang, refuse or lie."""

import pytest

from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.snapshot.batch_writer import BatchWriter
from django_dcache.conf import parse
from django_dcache.engines.inspection import BulkItem
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet, ScriptedNode
from support.snapshot_site import NAMES, Site, read


def test_a_node_that_is_away(site):
    """What a dead node should hold fails, and is loaded by the next run, which looks at nothing that was done."""
    site = site(3)
    site.store()
    site.dump()
    site.empty()
    site.nodes.nodes[0].kill()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(site._folder))
        loaded = site.load(fresh=False, sleep=lambda seconds: None)
        assert 0 < loaded.failed < len(NAMES) and [*loaded.failures] == [site.nodes.addresses[0]]
        site.nodes.nodes[0].start()
        site.another_process()
        again = site.load(fresh=False)
    assert again.stored == loaded.failed and again.complete
    assert not list((site._folder / "dcache").rglob("*.load")) and len(read(site)) == len(NAMES)


def test_a_node_out_of_service(site):
    """A dead node that was taken out of service is not even asked: the other copies are all there is to load."""
    site = site(3, replicas=2, timeout=0.5)
    site.store(NAMES[:1000])
    site.nodes.nodes[0].kill()
    Conductor(site.fleet).take_out(site.nodes.addresses[0])
    dumped = site.dump()
    for node in site.nodes.nodes[1:]:
        node.restart()
    site.fleet.close()
    loaded = site.load()
    assert dumped.complete and (loaded.stored, loaded.failures) == (dumped.items, {})
    assert dumped.items == len(read(site, NAMES[:1000])) == 1000


def test_a_node_that_hangs(site):
    """A node that stands still costs a load its own items and no others, and the next one stores them."""
    site = site(2, timeout=0.4)
    site.store(NAMES[:200])
    site.dump()
    site.empty()
    hung = site.nodes.nodes[0]
    site.fleet.proven_view()
    hung.freeze()
    loaded = site.load(sleep=lambda seconds: None)
    assert 0 < loaded.failed < 200
    hung.thaw()  # What it was asked is done now: it gives leases that nobody waits for.
    site.another_process()
    assert site.load().complete and len(read(site, NAMES[:200])) == 200


def test_refused(fleet, tmp_path):
    """An item that a node will not take, such as one above its limit, is counted, and costs no other."""
    with LocalFleet(1, memory=32, extra=["-I", "2m"]) as large, LocalFleet(1, memory=32) as small:
        site = Site(large, tmp_path)
        site.store(NAMES[:10])
        site.store(NAMES[10:11], bytes(1500 * 1024))
        site.dump()
        other = Site(small, tmp_path)
        loaded = other.load()
        assert (loaded.stored, loaded.refused, loaded.complete) == (10, 1, False)
        site.fleet.close()
        other.fleet.close()


@pytest.mark.parametrize(
    "said", [b"HD c1 O1 W\r\n", b"EN\r\n", b"VA 1 c1\r\nx\r\n", b"\r\n" * 2**19, b"SERVER_ERROR no\r\n"]
)
def test_a_lying_node(said):
    """Whatever a node says instead of an answer, nothing is stored and nothing is raised."""
    with ScriptedNode(lambda command, _: said) as node:
        fleet = Fleet(parse("default", [node.address]))
        batch = BatchWriter(fleet).batch(fleet.view, [BulkItem(name, 0, 0, b"x") for name in NAMES[:3]])
        batch.open(1.0)
        batch.ask(3)
        batch.carry(fleet.clock() + 0.3, fleet.clock)
        batch.answer()
        batch.carry(fleet.clock() + 0.3, fleet.clock)
        filled = batch.outcome()
        assert filled.failed == [0, 1, 2] and node.address in filled.failures
        fleet.close()


@pytest.mark.parametrize(("replicas", "all_there"), [(1, False), (2, True)])
def test_a_silent_node(site, replicas, all_there):
    """A dump names the nodes that could not be asked; of what they hold, the other copies are taken."""
    site = site(3, replicas=replicas, timeout=1.0)
    site.store()
    site.nodes.nodes[0].kill()
    dumped = site.dump()
    assert [*dumped.silent] == [site.nodes.addresses[0]] and not dumped.complete
    assert 0 < dumped.items and (dumped.items == len(NAMES)) is all_there
