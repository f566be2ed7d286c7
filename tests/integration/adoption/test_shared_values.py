"""Old and new processes on one set of nodes: what either writes the other reads, and neither leaves anything else."""

import asyncio

import pytest

from dcache_manager.adoption import service
from dcache_manager.doctor.fleet_checks import examine
from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.target import Target
from django_dcache.errors import Coexisting
from django_dcache.flows import adopt, consensus, resize
from support.classic_backends import CLASSICS, beside

LISTS = [[n] * n for n in (1, 15, 16, 26, 40, 130)]
VALUES = [
    "text",
    "ключ",
    "",
    0,
    17,
    -3,
    2**62,
    None,
    True,
    1.5,
    {"a": [1, 2]},
    "x" * 5000,
    {"text": "y" * 3000},
    *LISTS,
]
every_backend = pytest.mark.parametrize("name", CLASSICS)


def kept(name, value):
    """What the old backend itself gives back: pylibmc has whole numbers for booleans."""
    return int(value) if name.startswith("pylibmc") and value is True else value


@every_backend
def test_values(name):
    """Every value that the old backend stored is read by ours, and the other way round, on whichever node it lies."""
    with beside(CLASSICS[name]) as (old, new, _):
        keys = {f"{place}-{number}": value for place in range(5) for number, value in enumerate(VALUES)}
        for key, value in keys.items():
            old.set(key, value, 600)
        assert new.get_many(keys) == {key: kept(name, value) for key, value in keys.items()}
        assert all(595 <= new.ttl(key) <= 600 for key in keys)
        assert {key: new.get(key) for key in keys} == {key: kept(name, value) for key, value in keys.items()}
        assert new.set_many(keys, 600) == []
        assert {key: old.get(key) for key in keys} == keys
        for key in keys:
            assert new.delete(key)
        assert old.get_many(keys) == {}


@every_backend
def test_counters(name):
    """Both count with the same number, and each adds only what is not there."""
    with beside(CLASSICS[name]) as (old, new, _):
        assert new.add("hits", 1) and not old.add("hits", 5)
        assert [old.incr("hits"), new.incr("hits"), old.incr("hits", 10), new.decr("hits", 3)] == [2, 3, 13, 10]
        assert old.get("hits") == new.get("hits") == 10
        assert new.touch("hits", 100) and old.delete("hits") and new.get("hits") is None
        with pytest.raises(ValueError):
            new.incr("hits")


@every_backend
def test_a_loader_leaves_no_stub(name):
    """While ours loads a missing key the old backend finds nothing there; what it stores meanwhile stays."""
    with beside(CLASSICS[name]) as (old, new, _):
        seen = []

        def load():
            seen.append(old.get("page", "nothing"))
            old.set("page", "theirs", 60)
            return "ours"

        assert new.get_or_set("page", load, 60) == "ours"
        assert seen == ["nothing"] and new.get("page") == old.get("page") == "theirs"
        assert new.get_or_set("other", "loaded", 60) == "loaded" and old.get("other") == "loaded"


@every_backend
def test_what_the_old_one_could_not_read(name):
    """A value with tags is not stored beside classic clients, and no old one stays under its key."""
    with beside(CLASSICS[name]) as (old, new, _):
        old.set("page", "before", 60)
        assert new.set("page", "tagged", 60, tags=["product:7"]) is False
        assert old.get("page") is None and new.get("page") is None


@pytest.mark.parametrize("name", [name for name in CLASSICS if CLASSICS[name].engine == "memcached"])
def test_long_keys(name):
    """A key of the greatest length that memcached takes is the same key to both."""
    with beside(CLASSICS[name]) as (old, new, _):
        for length in (200, 230, 240):
            key = "k" * length
            old.set(key, "old", 60)
            assert new.get(key) == "old" and new.set(key, "new") and old.get(key) == "new"


@every_backend
def test_clear(name):
    """clear() empties the nodes for both, and the fleet is found again."""
    with beside(CLASSICS[name]) as (old, new, _):
        old.set("page", "before", 60)
        assert new.clear() and old.get("page") is None and new.get("page") is None
        old.clear()
        assert new.set("page", "after", 60) and old.get("page") == "after"


@every_backend
def test_afterwards(name):
    """Once no old process is left ours writes in its own way, with leases and tags, and reads all that was there."""
    with beside(CLASSICS[name]) as (old, new, _):
        keys = {str(number): value for number, value in enumerate(VALUES)}
        for key, value in keys.items():
            old.set(key, value, 600)
        assert new.get("0") == "text" and new.fleet.view.coexists
        assert new.fleet.run(adopt.finish) and not new.fleet.view.coexists
        assert new.get_many(keys) == {key: kept(name, value) for key, value in keys.items()}
        assert new.set("page", "tagged", 60, tags=["product:7"]) is True and new.get("page") == "tagged"
        assert new.get_or_set("loaded", "value", 60) == new.get("loaded") == "value"


def test_nothing_is_moved_before():
    """While old processes may be there no epoch is published, and the error says what to do first."""
    with beside(CLASSICS["pymemcache"]) as (_, new, _):
        assert new.set("page", 1)
        topology = new.fleet.view.state.topology
        with pytest.raises(Coexisting, match="adopt finish"):
            new.fleet.run(resize.publish, topology.served_by(topology.layout), 1)


def test_a_lost_write_parts_no_processes():
    """A write that a node does not answer is not acknowledged; no generation is raised, so both still share the key."""
    with beside(CLASSICS["pymemcache"], timeout=0.3) as (old, new, nodes):
        assert new.set("page", "before", 60)
        for node in nodes.nodes:
            node.freeze()
        assert new.set("page", "lost", 60) is False
        for node in nodes.nodes:
            node.thaw()
        assert not any(new.fleet.view.state.highest(node) for node in new.fleet.view.state.topology.nodes)
        old.set("page", "after", 60)
        new.fleet.doubt()
        assert new.get("page") == "after"


@every_backend
def test_event_loops(name):
    """What is done in an event loop is shared as well, and leaves no stub."""

    async def use(old, new):
        assert await new.aset("page", {"a": 1}, 60) and await new.aget("page") == {"a": 1}
        assert await new.aadd("hits", 1, 60) and await new.aincr("hits") == 2
        assert await new.aget_or_set("loaded", lambda: old.get("loaded", "nothing"), 60) == "nothing"
        await new.aclose()

    with beside(CLASSICS[name]) as (old, new, _):
        asyncio.run(use(old, new))
        assert (old.get("page"), old.get("hits"), old.get("loaded")) == ({"a": 1}, 2, "nothing")
        assert old.delete("page") and new.get("page") is None


@pytest.mark.parametrize("name", ["pymemcache", "django-redis"])
def test_what_doctor_and_status_say(name):
    """While classic clients may use the nodes doctor warns of what is not there yet; of a fleet that was there before,
    in which old processes find nothing, it says that this is so, as `adopt status` does."""
    with beside(CLASSICS[name]) as (_, new, _nodes):
        assert new.set("page", 1)
        fleet = new.fleet
        target = Target("default", fleet.configuration, fleet.configuration.layout)
        assert service.status(target).coexists and not service.status(target).apart
        assert [found.verdict for found in examine(target, look(target, 20), 20) if found.check == "adoption"] == [
            "warn"
        ]
        node = next(iter(fleet.view.state.topology.nodes))
        fleet.run(consensus.agree, lambda state: state.bumped({(node, 3): 1}))
        assert service.status(target).apart
        assert [found.verdict for found in examine(target, look(target, 20), 20) if found.check == "adoption"] == [
            "fail"
        ]
