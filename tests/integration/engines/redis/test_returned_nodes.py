"""A node that comes back with the past: nothing of it is read, and soon it is a node like any other."""

import shutil
import time

import pytest

from django_dcache.model.state import Note
from django_dcache.testing import LocalFleet, LocalRedis
from support.waiting import until


def returned(node):
    """Ends the node at once, and starts it again with what it saved."""
    node.kill()
    node.start()


@pytest.fixture
def saving(tmp_path):
    """A node that loads what it saved when it starts."""
    with LocalRedis(extra=("--dir", str(tmp_path))) as node:
        yield node


def test_the_past_is_out_of_reach(saving, cache_of):
    """Of a node that was saved, went on and was restored no value is read; what is stored from then on is."""
    cache = cache_of(saving, timeout=1.0, eject_after=0)
    cache.set_many({f"k{n}": "old" for n in range(50)}, None)
    assert saving.ask(b"SAVE\r\n") == b"+OK\r\n"
    cache.set_many({f"k{n}": "new" for n in range(25)}, None)
    cache.delete_many([f"k{n}" for n in range(25, 50)])
    returned(saving)
    assert len(saving.items()) > 50, "it holds the past"
    end = time.monotonic() + 30
    while not cache.set("probe", 1):
        assert cache.get_many([f"k{n}" for n in range(50)]) == {}
        assert time.monotonic() < end
    assert cache.get_many([f"k{n}" for n in range(50)]) == {}
    assert cache.get("probe") == 1


def test_a_journal_is_the_past(redis, cache_of):
    """A node that kept a journal (AOF, synced each second) and was killed comes back with the very last writes, and no
    value of it is read: it can't be told whether the last second is there."""
    cache = cache_of(redis, timeout=1.0, eject_after=0)
    assert redis.ask(b"CONFIG SET appendonly yes\r\n") == b"+OK\r\n"  # everysec is what it does by itself
    journal = redis.folder / "appendonlydir"
    assert until(lambda: list(journal.glob("*.manifest")))
    assert cache.set("key", "written", None)
    redis.kill()
    redis.start("--appendonly", "yes")
    assert until(lambda: redis.ask(b"PING\r\n") == b"+PONG\r\n"), "it has read the journal"
    assert len(redis.items()) > 1, "it holds what was written"
    seen = set()
    assert until(lambda: seen.add(cache.get("key")) or cache.set("probe", 1))
    assert cache.get("key") is None and seen == {None}


def test_it_is_renewed_once(saving, cache_of):
    """However many processes see it, and connect again later, its slots are renewed once for each return."""
    caches = [cache_of(saving, timeout=1.0, eject_after=0, idle_connections=number) for number in (1, 2, 3)]
    caches[0].set("key", "old", None)
    (name,) = caches[0].fleet.view.state.topology.nodes
    for times in (1, 2):
        saving.ask(b"SAVE\r\n")
        returned(saving)
        for cache in caches:
            assert until(lambda cache=cache, times=times: cache.set("key", times))
            cache.fleet.close()
            assert cache.get("key") == times
        notes = {cache.fleet.proven_view().state.note(name, Note.RETURNED) for cache in caches}
        assert {note // 2**32 for note in notes} == {times}


def test_an_empty_node_is_no_such(cache_of):
    """A node that starts empty is used at once, and no slot of it is renewed."""
    with LocalFleet(3, "redis") as fleet:
        cache = cache_of(fleet, timeout=1.0, eject_after=0)
        cache.set_many({f"k{n}": n for n in range(50)})
        fleet.nodes[1].restart()
        assert until(lambda: not cache.set_many({f"k{n}": n for n in range(50)}))
        assert len(cache.get_many([f"k{n}" for n in range(50)])) == 50
        assert cache.fleet.proven_view().state.note(fleet.nodes[1].name, Note.RETURNED) == 0


def test_promoted_replica(tmp_path, cache_of):
    """A replica that takes its master's place, by its data, is known by who it is."""
    (copy := tmp_path / "copy").mkdir()
    with LocalRedis(extra=("--dir", str(tmp_path))) as node, LocalRedis(extra=("--dir", str(copy))) as replica:
        cache = cache_of(node, timeout=1.0, eject_after=0)
        cache.set("key", "old", None)
        host, _, port = node.endpoint.rpartition(":")
        replica.ask(f"REPLICAOF {host} {port}\r\n".encode())
        assert until(lambda: replica.items())
        replica.ask(b"SAVE\r\n")
        cache.set("key", "new", None)
        node.kill()
        shutil.copy(copy / "dump.rdb", tmp_path / "dump.rdb")
        node.start()
        assert until(lambda: cache.set("probe", 1))
        assert cache.get("key") is None
