"""Snapshots dumped from real nodes, and loaded into them again."""

import time
from dataclasses import replace
from itertools import count

import pytest
from django.core.cache import cache
from django.test import override_settings

from dcache_manager.invalidation import log as invalidation
from dcache_manager.jobs.progress import Progress
from dcache_manager.models import Invalidation
from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.settings import Regions
from dcache_manager.snapshot.batch_writer import BatchWriter
from dcache_manager.snapshot.dump import Dump
from dcache_manager.snapshot.file import Reader, Writer
from dcache_manager.snapshot.format import Header
from dcache_manager.snapshot.load import Load, NoLog
from dcache_manager.snapshot.recent_invalidations import RecentInvalidations
from dcache_manager.snapshot.resume_point import ResumePoint
from dcache_manager.throttle import Throttle
from django_dcache import invalidate
from django_dcache.conf import parse
from django_dcache.engines.memcached.bulk_fill import Item
from django_dcache.errors import Conflict
from django_dcache.flows import Item as Value
from django_dcache.flows.consensus import agree, bump
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.model.state import prefix_slot
from django_dcache.model.topology import Phase
from django_dcache.model.view import Standing
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet, ScriptedNode
from support.waiting import until

NAMES = [keys.name(f":1:key-{number}") for number in range(3000)] + [keys.name("long" * 62)]
OPTIONS = {"freshness": 0.1, "timeout": 4.0, "connect_timeout": 4.0}
MONTHS = 90 * 86400


class Site:
    """A fleet as one process sees it, with snapshots of it in a folder."""

    def __init__(self, nodes, folder, **options):
        self.nodes, self._folder = nodes, folder
        self._options = OPTIONS | options
        self.fleet = self._open()

    def _open(self):
        return Fleet(parse("default", self.nodes.addresses, self._options))

    def another_process(self):
        self.fleet.close()
        self.fleet = self._open()

    def store(self, names=NAMES, data=b"value", flags=0, ttl=0):
        for start in range(0, len(names), 250):
            found = self.fleet.run(write, dict.fromkeys(names[start : start + 250], Value(flags, data, ttl)))
            assert all(outcome.successful for outcome in found.values())

    def dump(self, prefix=b""):
        header = Header(self.fleet.configuration.fleet, "default", time.time())
        with Writer(self._folder / "snapshot", header) as writer:
            return Dump(self.fleet, writer, self._pace(), Progress("", ""), lambda: None, prefix).run()

    def load(self, log=NoLog(), tick=lambda: None, sleep=time.sleep, fresh=True, often=1.0):
        """What became of it. `fresh`: not where an earlier load left off."""
        with (self._folder / "snapshot").open("rb") as file:
            reader = Reader(file)
            contents = reader.verify()
            mark = ResumePoint(self._folder / "mark") if fresh else ResumePoint.of("default", contents.digest)
            load = Load(self.fleet, reader, mark, self._pace(), Progress("", ""), tick, log, sleep, often)
            loaded = load.run()
        counts = replace(loaded, failures={}, bytes=0, resumed=0)
        assert sum(getattr(counts, name) for name in counts.__slots__[:1] + counts.__slots__[2:7]) == contents.items
        return loaded

    def empty(self):
        """Every node is restarted."""
        for node in self.nodes.nodes:
            node.restart()
        self.fleet.close()

    def items(self):
        """What each node holds, but for the fleet's own: {address: {wire key: (flags, data)}}"""
        return {node.address: dict(_items(node)) for node in self.nodes.nodes}

    def ttls(self, name):
        """Seconds left of each copy."""
        found = [node.ask(b"mg %b t\r\n" % name).split() for node in self.nodes.nodes]
        return [int(words[1][1:]) for words in found if words[0] == b"HD"]

    def _pace(self):
        return Throttle(None, 0.08, self.fleet.clock, time.sleep)


def _items(node):
    names = [key for key in node.items() if not key.startswith(b"_dc:")]
    said = node.ask(b"".join(b"mg %b v f\r\n" % key for key in names))
    for key in names:
        head, _, said = said.partition(b"\r\n")
        if head.startswith(b"VA"):
            _, size, flags = head.split()
            yield key, (flags, said[: int(size)])
            said = said[int(size) + 2 :]


@pytest.fixture
def site(fleet, tmp_path):
    """Makes a site on so many nodes: `site(3, replicas=2)`."""
    sites = []

    def make(count, **options):
        sites.append(Site(fleet(count, memory=32), tmp_path, **options))
        return sites[-1]

    yield make
    for made in sites:
        made.fleet.close()


def read(site, names=NAMES):
    found = [site.fleet.run(fetch, names[start : start + 250]) for start in range(0, len(names), 250)]
    return {name: value for part in found for name, value in part.items()}


@pytest.mark.parametrize("replicas", [1, 2])
def test_what_the_general_flow_stores(site, replicas):
    """A load puts on each node just what `write` had put there, under the same wire keys, generations included."""
    site = site(3, replicas=replicas, timeout=1.0)
    site.store(NAMES[:2000], b"123", flags=2)
    site.store(NAMES[2000:], b"", flags=7)
    if replicas == 1:
        first, *others = site.nodes.addresses
        assert site.fleet.run(bump, {(node, slot) for node in others for slot in range(40)})
        assert site.fleet.run(bump, {(first, slot) for slot in range(256)})
        slots = [(node, slot) for node in site.nodes.addresses for slot in range(256)]
        assert until(lambda: all(site.fleet.proven_view().standing(*slot) is Standing.OPEN for slot in slots))
        site.store(NAMES[:2000], b"123", flags=2)
        site.store(NAMES[2000:], b"", flags=7)
    # Older generations are still there, and out of reach.
    reachable = {
        node: {key: item for key, item in held.items() if _current(site, node, key)}
        for node, held in site.items().items()
    }
    dumped = site.dump()
    assert dumped.items == len(NAMES) and dumped.complete
    site.empty()
    loaded = site.load()
    assert loaded.stored == len(NAMES) and loaded.complete
    assert site.items() == reachable
    assert sum(map(len, reachable.values())) == replicas * len(NAMES)


def _current(site, node, key):
    name, generation = keys.parse_wire_key(key)
    return generation == site.fleet.view.generation(node, site.fleet.view.place(name).slot)


def test_deadlines(site):
    """What is left of a TTL is kept to the second, beyond 30 days too; what has expired meanwhile is not stored."""
    site = site(2, replicas=2)
    month, soon, never, gone = NAMES[:4]
    site.store([month], ttl=MONTHS)
    site.store([soon], ttl=100)
    site.store([never])
    site.store([gone], ttl=2)
    left = {name: site.ttls(name) for name in NAMES[:3]}
    began = time.time()
    assert site.dump().items == 4
    site.empty()
    assert until(lambda: time.time() > began + 2.1)
    loaded = site.load()
    assert (loaded.stored, loaded.expired) == (3, 1)
    passed = time.time() - began
    assert site.ttls(never) == [-1, -1]
    for name in (month, soon):
        assert all(
            abs(before - passed - after) <= 1.5 for before, after in zip(left[name], site.ttls(name), strict=True)
        )


def test_counters(site):
    """A number that was loaded can be counted on."""
    site = site(2)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": site.nodes.addresses}
    entry["OPTIONS"] = OPTIONS
    with override_settings(CACHES={"default": entry}):
        cache.set_many({"up": 41, "below": -1, "text": "é"})
        site.dump()
        site.empty()
        site.load()
        assert (cache.incr("up"), cache.incr("below", 3), cache.get("text")) == (42, 2, "é")
        cache.close()


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
    items = [Item(name, 0, 0, b"old") for name in names]
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
    assert not list((site._folder / "dcache").iterdir()) and len(read(site)) == len(NAMES)


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


def test_quarantine(site):
    """In a slot that was just bumped nothing is stored until it is open; the load waits for that."""
    site = site(2, timeout=1.0)
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
        batch = BatchWriter(fleet).batch(fleet.view, [Item(name, 0, 0, b"x") for name in NAMES[:3]])
        batch.open(1.0)
        batch.ask(3)
        batch.carry(fleet.clock() + 0.3, fleet.clock)
        batch.answer()
        batch.carry(fleet.clock() + 0.3, fleet.clock)
        filled = batch.outcome()
        assert filled.failed == [0, 1, 2] and node.address in filled.failures
        fleet.close()


def test_prefix(site):
    """A dump of a prefix holds those keys alone."""
    site = site(2)
    site.store()
    assert site.dump(b":1:key-12").items == 111


def test_prefix_generations(site):
    """What was stored before its prefix was invalidated is not dumped; the rest comes back under its present name."""
    site = site(2)
    site.store()
    settled = {prefix_slot(":1:key-12"): 2}
    assert site.fleet.run(agree, lambda state: state.bumped(settled)).majority
    assert site.dump().items == len(NAMES) - 111
    present = site.fleet.view.name(":1:key-12")
    site.store([present], b"new")
    assert site.dump().items == len(NAMES) - 110
    site.empty()
    assert site.load().stored == len(NAMES) - 110
    found = read(site, [present, NAMES[12], NAMES[13]])
    assert {name: value.data for name, value in found.items()} == {present: b"new", NAMES[13]: b"value"}


@pytest.mark.parametrize(("replicas", "all_there"), [(1, False), (2, True)])
def test_a_silent_node(site, replicas, all_there):
    """A dump names the nodes that could not be asked; of what they hold, the other copies are taken."""
    site = site(3, replicas=replicas, timeout=1.0)
    site.store()
    site.nodes.nodes[0].kill()
    dumped = site.dump()
    assert [*dumped.silent] == [site.nodes.addresses[0]] and not dumped.complete
    assert 0 < dumped.items and (dumped.items == len(NAMES)) is all_there


# The log of invalidations


@pytest.fixture
def logged(site, tables):
    """A site whose invalidations are in a log."""
    site = site(2)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": site.nodes.addresses}
    entry["OPTIONS"] = OPTIONS
    with override_settings(CACHES={"default": entry}, DCACHE={"REGION": "eu"}):
        yield site
        cache.close()


def recent(site):
    with (site._folder / "snapshot").open("rb") as file:
        return RecentInvalidations("default", Reader(file).header.began, Regions("eu", ("eu",)))


def test_what_was_invalidated_stays_away(logged):
    """Keys and prefixes that were invalidated after the dump began are not loaded."""
    logged.store()
    logged.dump()
    logged.empty()
    invalidate(["key-1", "key-2"])
    Invalidation.objects.create(region="us", alias="default", kind="prefix", made=[":1:key-12"])
    log = recent(logged)
    loaded = logged.load(log)
    # Of a key that is known by its digest alone nobody can tell that it has another prefix.
    assert loaded.invalidated == 2 + 111 + 1 and log.entries == 2
    assert not read(logged, [b":1:key-1", b":1:key-2", b":1:key-120"])


def test_what_is_invalidated_meanwhile(logged):
    """An entry that comes while its key was already loaded has it deleted again."""
    logged.store()
    logged.dump()
    logged.empty()
    log, ticks = recent(logged), count()

    def tick():
        if next(ticks) == 1:  # Two batches have been loaded by then.
            made = [name.decode() for name in NAMES[:-1:100]]
            Invalidation.objects.create(region="us", alias="default", kind="keys", made=made)

    loaded = logged.load(log, tick=tick, often=0.0)
    logged.another_process()
    assert not read(logged, NAMES[:-1:100]) and log.incomplete == 0
    assert 0 < loaded.invalidated < 30 and len(read(logged)) == len(NAMES) - 30


def test_what_was_applied_before(logged):
    """An entry that this region had applied before the dump began is no business of the load."""
    number = Invalidation.objects.create(region="us", alias="default", kind="keys", made=[":1:key-1"]).pk
    logged.store()
    logged.dump()
    log = recent(logged)
    log.look(False)
    assert log.entries == 1  # written before the dump, and not yet applied
    invalidation.acknowledge(number, "eu")
    later = RecentInvalidations("default", time.time() + 3600, Regions("eu", ("eu",)))
    later.look(False)
    assert later.entries == 0 and recent(logged).reaches
    assert not RecentInvalidations("default", time.time() - 8 * 86400, Regions("eu", ("eu",))).reaches


def test_long_keys_with_hash_tags(logged):
    """A long key of an alias with hash tags, invalidated meanwhile, is known by its name in the snapshot."""
    made = f":1:{{tag}}{'x' * 237}"
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": logged.nodes.addresses}
    entry["OPTIONS"] = OPTIONS | {"hash_tags": True}
    Invalidation.objects.create(region="us", alias="default", kind="keys", made=[made])
    with override_settings(CACHES={"default": entry}):
        log = RecentInvalidations("default", time.time(), Regions("eu", ("eu",)))
        log.look(False)
        cache.close()
    assert log.covers(keys.name(made, hash_tags=True)) and not log.covers(keys.name(made))
