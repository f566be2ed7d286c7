"""Loading a snapshot while the site writes: nothing newer is overwritten, no lease is taken away."""

from dataclasses import replace

import pytest

from dcache_manager.snapshot.batch_writer import BatchWriter
from django_dcache.engines.inspection import BulkItem
from django_dcache.errors import Conflict
from django_dcache.flows.consensus import agree, bump
from django_dcache.flows.write import write
from django_dcache.model.topology import Phase
from support.snapshot_site import NAMES, read
from support.waiting import until


def test_nothing_newer_is_overwritten(site):
    """What was stored since the dump stays, also where only one of its copies is left; and so does what is loaded."""
    site = site(3, replicas=2)
    site.store()
    site.dump()
    site.store(NAMES[:1000], b"newer")
    for name in NAMES[:500]:  # One copy was evicted.
        victim = site.fleet.view.place(name).route.first.write[int(name[-1]) % 2]
        next(node for node in site.nodes.nodes if node.address == victim).ask(b"md %b q\r\n" % name)
    for node in site.nodes.nodes:
        node.ask(b"".join(b"md %b q\r\n" % name for name in NAMES[1000:1500]))
    held = {node: len(items) for node, items in site.items().items()}
    loaded = site.load()
    assert (loaded.stored, loaded.present) == (500, len(NAMES) - 500)
    assert {value.data for value in read(site, NAMES[:1000]).values()} == {b"newer"}
    assert sum(map(len, site.items().values())) == sum(held.values()) + 1000
    assert site.load().present == len(NAMES)


def test_a_write_meanwhile_wins(site):
    """Between the lease and the store, whatever happens to a key happens instead of the load."""
    site = site(2, replicas=2)
    filler = BatchWriter(site.fleet)
    names = NAMES[:4]
    site.store(names[:1])
    items = [BulkItem(name, 0, 0, b"old") for name in names]
    batch = filler.batch(site.fleet.view, items)
    batch.open(1.0)
    batch.ask(5)
    batch.carry(site.fleet.clock() + 1, site.fleet.clock)
    site.store([names[1]], b"newer")
    site.fleet.run(write, {names[2]: None})
    batch.answer()
    batch.carry(site.fleet.clock() + 1, site.fleet.clock)
    filled = batch.outcome()
    assert (filled.stored, filled.present) == (1, 3)
    assert {name: value.data for name, value in read(site, names).items()} == dict(
        zip((names[0], names[1], names[3]), (b"value", b"newer", b"old"), strict=True)
    )


def test_a_lease_of_somebody_else(site):
    """A key that a reader is about to fill is left to it; once its holder is dead, it is filled."""
    site = site(1)
    site.store(NAMES[:10])
    site.dump()
    site.empty()
    (node,) = site.nodes.nodes
    node.ask(b"mg %b N30 c\r\n" % NAMES[0])
    assert site.load(sleep=lambda seconds: node.ask(b"ms %b 5\r\nnewer\r\n" % NAMES[0]) and None).present == 1
    node.ask(b"md %b\r\n" % NAMES[0])
    node.ask(b"mg %b N1 c\r\n" % NAMES[0])
    gone = b"mg %b\r\n" % NAMES[0]
    assert site.load(sleep=lambda seconds: until(lambda: node.ask(gone) == b"EN\r\n")).stored == 1


def test_quarantine(site):
    """In a slot that was just bumped nothing is stored until it is open; the load waits for that."""
    site = site(2, timeout=10.0)
    site.store()
    site.dump()
    site.fleet.run(bump, {(node, slot) for node in site.nodes.addresses for slot in range(20)})
    assert site.load(sleep=lambda seconds: None).failed
    loaded = site.load()
    assert loaded.complete and len(read(site)) == len(NAMES)


def test_moving_keys(site):
    """While keys are moving neither a dump nor a load begins, and one that is under way ends."""
    site = site(2)
    site.store()
    site.dump()

    def move(phase):
        def moved(state):
            shape = state.topology
            target = shape.layout if phase is not Phase.STABLE else None
            return replace(state, topology=replace(shape, epoch=shape.epoch + 1, phase=phase, target=target))

        assert site.fleet.run(agree, moved).majority

    with pytest.raises(Conflict):
        site.load(tick=lambda: move(Phase.PREPARE))
    for begin in (site.dump, site.load):
        with pytest.raises(Conflict):
            begin()
