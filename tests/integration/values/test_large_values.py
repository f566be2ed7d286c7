"""Values above a node's item limit: they lie in chunks beside an index, and are there whole or not at all."""

import asyncio
from contextlib import ExitStack, closing

import pytest

from dcache_manager.inspection.verify import Verification
from dcache_manager.invalidation.prefix_sweep import sweep
from dcache_manager.rebalance.conductor import Conductor
from django_dcache.backend import DistributedCache
from django_dcache.model.keys import is_chunk, parse_wire_key
from django_dcache.runtime.shortcut import NeedsFlow
from django_dcache.testing import LocalFleet, LocalNode, ManualClock
from django_dcache.values.chunks import IN_CHUNKS, ROUND_BYTES
from support import extras
from support.conductors import changed, connected

OPTIONS = {"timeout": 5.0, "connect_timeout": 5.0, "freshness": 60, "fleet": "default"}
LARGE = b"".join(b"%09d\n" % number for number in range(2 * 10**6))
"""20 MB, of which no two parts are equal."""
SMALL = {"chunk_bytes": 1000}
TEXT = "".join(f"{number:09d}\n" for number in range(1000))


@pytest.fixture
def site(fleet):
    """Makes caches on two nodes: `site(**options)`."""
    nodes = fleet(2, memory=256)
    with ExitStack() as caches:

        def make(**options):
            cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | options})
            caches.callback(cache.fleet.close)
            return cache

        make.nodes = nodes.nodes
        yield make


def chunks(nodes):
    """The names of the chunks on each node, with the node."""
    names = [(node, parse_wire_key(key)) for node in nodes for key in node.items()]
    return [(node, parsed[0]) for node, parsed in names if parsed and is_chunk(parsed[0])]


@pytest.mark.parametrize("options", [{}, {"replicas": 2}, {"sign_values": True, "secret": "s", "compress": "zlib"}])
def test_twenty_megabytes(site, options):
    """A value of 20 MB round-trips on every road, on nodes that take one."""
    cache = site(**options)
    assert cache.set("large", LARGE) is True
    assert cache.get("large") == LARGE == asyncio.run(cache.aget("large"))
    assert cache.get_many(["large", "none"]) == {"large": LARGE} == asyncio.run(cache.aget_many(["large", "none"]))
    assert cache.has_key("large") and cache.get_or_set("large", b"") == LARGE
    assert asyncio.run(cache.aset("large", LARGE[::-1])) is True and cache.get("large") == LARGE[::-1]


def test_every_way_to_write(site):
    """Every method that stores a value stores a large one too, and what it replaces is deleted with all its chunks."""
    cache = site(**SMALL)

    async def load():
        return TEXT

    assert cache.set_many({"a": TEXT, "b": "small"}) == [] and cache.get_many("ab") == {"a": TEXT, "b": "small"}
    assert asyncio.run(cache.aset_many({"a": TEXT, "b": TEXT})) == [] and cache.get_many("ab") == {"a": TEXT, "b": TEXT}
    assert cache.add("a", TEXT + "!") is False and cache.get("a") == TEXT
    assert cache.add("c", TEXT) is True and cache.get("c") == TEXT
    assert cache.get_or_set("d", lambda: TEXT) == TEXT and cache.get("d") == TEXT
    assert asyncio.run(cache.aget_or_set("e", load)) == TEXT and cache.get("e") == TEXT
    assert asyncio.run(cache.aget_or_set("f", lambda: TEXT)) == TEXT and cache.get("f") == TEXT
    assert cache.incr_version("a") == 2 and cache.get("a", version=2) == TEXT
    assert len(chunks(site.nodes)) == 7 * 10  # a (its first version keeps its chunks until they expire) to f


def test_beside_its_key(site):
    """All chunks of a value lie on the node of its key."""
    cache = site(**SMALL)
    for number in range(10):
        cache.set(f"key{number}", TEXT)
        (owner,) = cache.fleet.view.place(cache.make_key(f"key{number}").encode()).route.write
        assert [node.address for node, _ in chunks(site.nodes)] == [owner] * 10
        cache.clear()


@pytest.mark.parametrize("lost", [0, 4, 9])
def test_a_chunk_is_gone(site, lost):
    """Without any one of its chunks the value is a miss as a whole, its index goes too, and it can be stored anew."""
    cache = site(**SMALL)
    cache.set("key", TEXT)
    node, name = chunks(site.nodes)[lost]
    assert node.ask(b"delete %b\r\n" % name) == b"DELETED\r\n"
    assert cache.get("key") is None and cache.fleet.counters["unreadable"] == 1
    assert cache.add("key", TEXT) is True and cache.get("key") == TEXT


def test_chunks_of_two_writes(site):
    """An index that is put back after its value was replaced tells of chunks that are gone: a miss, not a mixture."""
    cache = site(**SMALL)
    cache.set("key", TEXT)
    (node,) = {node for node, _ in chunks(site.nodes)}
    name = cache.make_key("key").encode()
    index = node.ask(b"get %b\r\n" % name).partition(b"\r\n")[2][:24]
    cache.set("key", TEXT[::-1])
    assert node.ask(b"set %b %d 0 24\r\n%b\r\n" % (name, 16 | IN_CHUNKS, index)) == b"STORED\r\n"
    assert cache.get("key") is None


def test_replaced_while_it_is_read(site):
    """A reader with the index of a value that was replaced meanwhile gets the new one."""
    cache = site(**SMALL)
    cache.set("key", TEXT)
    reading = cache._get(cache.make_key("key"), None)
    run = next(reading)
    index = cache.fleet.run(run.flow, *run.arguments)
    cache.set("key", TEXT[::-1].encode())
    run = reading.send(index)
    while True:
        try:
            run = reading.send(cache.fleet.run(run.flow, *run.arguments))
        except StopIteration as end:
            assert end.value == TEXT[::-1].encode()
            break


def test_its_rounds(site):
    """A get asks for the index once. A set that replaces one is two rounds: chunks, and the index with what it ends."""
    cache = site(**SMALL)
    made_key = cache.make_key("key")
    for text in (TEXT, TEXT[::-1]):
        writing, runs = cache._set(made_key, cache._item(made_key, text, None)), []
        with pytest.raises(StopIteration) as end:
            run = next(writing)
            while True:
                runs.append(run.flow)
                run = writing.send(cache.fleet.run(run.flow, *run.arguments))
        assert end.value.value is True and len(runs) == 2 and len(chunks(site.nodes)) == 10
    for read in (cache.get, lambda key: cache.get_many([key, "none"])[key], lambda key: asyncio.run(cache.aget(key))):
        before = hits(site.nodes)
        assert read("key") == TEXT[::-1] and hits(site.nodes) - before == 1 + 10


@pytest.mark.parametrize("engine", ["memcached", "redis"])
@pytest.mark.parametrize("text", [TEXT, TEXT * 500], ids=["10 kB", "5 MB"])
def test_its_short_cut(fleet, engine, text):
    """A thread that reads or replaces a large value takes no flow, and gets what each flow would have said."""
    nodes = fleet(2, engine=engine, memory=64)
    options = OPTIONS | {"chunk_bytes": len(text) // 9}
    with closing(DistributedCache(nodes.addresses, {"OPTIONS": options})) as cache:
        made_key = cache.make_key("key")
        assert cache.set("key", text[::-1]) is True
        writing, reading = cache._set(made_key, cache._item(made_key, text, None)), cache._get(made_key, None)
        for operation, expected in ((writing, 2), (reading, 1 if len(text) < ROUND_BYTES else 2)):
            runs, answer = 0, None
            with pytest.raises(StopIteration):
                while run := operation.send(answer):
                    answer = cache.fleet.run(run.flow, *run.arguments)
                    if run.short_cut:
                        runs += 1
                        said = directly(cache, run)
                        assert said == answer or [outcome.successful for outcome in said.values()] == [True]
            assert runs == expected


def directly(cache, run):
    """What its short cut says. A process that has just stood still does not take it: that is tried again."""
    for _ in range(20):
        try:
            return run.short_cut()
        except NeedsFlow:
            cache.fleet.run(run.flow, *run.arguments)
    return run.short_cut()


def test_chunks_that_a_node_refuses():
    """A large value whose chunks a node refuses is not stored, and what was there is gone."""
    with LocalNode(extra=["-I", "512k"]) as node:
        cache = DistributedCache(node.address, {"OPTIONS": OPTIONS | {"chunk_bytes": 600_000}})
        with closing(cache.fleet):
            assert cache.set("key", "small") is True
            assert cache.set("key", TEXT * 90) is False and cache.get("key") is None
            assert not any(name.endswith(b"key") for name in node.items())


def hits(nodes):
    """How often any of them had what was asked for."""
    lines = [line.split() for node in nodes for line in node.ask(b"stats\r\n").splitlines()]
    return sum(int(line[2]) for line in lines if line[:2] == [b"STAT", b"get_hits"])


@pytest.mark.parametrize("index", [b"", b"x" * 24, b"\0" * 24, b"identity 12b\0\0\x03\xe8" + b"\xff" * 8])
def test_what_is_no_index(site, index):
    """Any bytes under the flags of an index are a miss, and nothing is asked for."""
    cache = site(**SMALL)
    for node in site.nodes:
        node.ask(b"set :1:key %d 0 %d\r\n%b\r\n" % (IN_CHUNKS, len(index), index))
    assert cache.get("key") is None and cache.get_or_set("key", lambda: "new") == "new" == cache.get("key")


def test_a_signed_value(site):
    """A chunk that was tampered with makes a signed value a miss."""
    cache = site(**SMALL, sign_values=True, secret="s")
    cache.set("key", TEXT)
    node, name = chunks(site.nodes)[3]
    assert node.ask(b"set %b 64 0 1000\r\n%b\r\n" % (name, b"x" * 1000)) == b"STORED\r\n"
    assert cache.get("key") is None and cache.fleet.counters["unreadable"] == 1


@pytest.mark.parametrize("compress", extras.options("zlib", "zstd", "lz4"))
def test_compressed_first(site, compress):
    """A value that is small enough once it is compressed lies in one item."""
    cache = site(compress=compress)
    assert cache.set("key", "a" * 10**7) and cache.get("key") == "a" * 10**7 and not chunks(site.nodes)


def test_timeouts(site):
    """Chunks live longer than their index; a value without a timeout has chunks without one."""
    cache = site(**SMALL)
    for timeout in (100, None):
        cache.set("key", TEXT, timeout)
        items = {key: item["exp"] for node in site.nodes for key, item in node.items().items()}
        ends = [end for key, end in items.items() if is_chunk(key)]
        assert min(ends) > items[b":1:key"] + 100 if timeout else {*ends, items[b":1:key"]} == {-1}


def test_a_resize():
    """A value of 20 MB survives nodes that join and leave; `verify` finds all of it where it belongs."""
    with LocalFleet(2, memory=256) as nodes:
        clock = ManualClock()
        cache = DistributedCache(nodes.addresses, {"OPTIONS": OPTIONS | {"freshness": 1.0}})
        with closing(cache.fleet), connected(nodes.addresses, OPTIONS | {"freshness": 1.0}, clock) as fleet:
            keys = [f"key{number}" for number in range(5)]
            for key in keys:
                assert cache.set(key, LARGE, None)
            first, added = nodes.addresses[0], nodes.add(memory=256).address
            for change in ({"add": [added]}, {"remove": [first]}):
                assert Conductor(fleet, sleep=clock.advance).run(changed(fleet, **change)).state == "done"
            cache.fleet.doubt()  # The conductor's clock is ahead: it waited for no process to learn of its epochs.
            assert [cache.get(key) == LARGE for key in keys] == [True] * 5
            assert Verification(fleet, clock.advance).run().clean


def test_a_sweep(site):
    """The sweep of a prefix leaves the chunks of other keys alone."""
    cache = site(**SMALL)
    cache.set_many({"book:1": TEXT, "shop:1": TEXT})
    assert sweep(cache.fleet, ":1:book:").complete
    assert cache.get("book:1") is None and cache.get("shop:1") == TEXT
