"""Nodes of Redis and Valkey that come back with the past, are full, or lose what they know beside the items."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random

from django_dcache.testing import LocalRedis, dial

from ..testbed import Testbed

WAIT_SECONDS = 10.0
"""For a server to do what it was told."""
LOST_BYTES = 64 * 1024
"""The most that a journal lacks whose end was not on the disk yet."""
LAG_SECONDS = (0.2, 3.0)
"""By which what comes back is behind what was there, beside the time that the node is away."""
FLUSHES = 8
MASTER_OF_ITSELF = b" ".join((b"REPLICAOF", b"NO", b"ONE"))


def old_snapshot(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node dies, and comes back with what it had saved some time before."""
    with testbed.holding(chance) as name:
        node = _node(testbed, name)
        _told(node, b"SAVE")
        time.sleep(chance.uniform(*LAG_SECONDS))
        node.kill()
        yield name
        with _saved(node):
            node.start()


def two_old_snapshots(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Two nodes die at once, and come back with what they had saved before: most keepers have an old map."""
    names = chance.sample(testbed.serving(), 2)
    with testbed.holding_all(names):
        nodes = [_node(testbed, name) for name in names]
        for node in nodes:
            _told(node, b"SAVE")
        time.sleep(chance.uniform(*LAG_SECONDS))
        for node in nodes:
            node.kill()
        yield " ".join(names)
        for node in nodes:
            with _saved(node):
                node.start()


def journal(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node that keeps a journal (AOF, synced each second) dies, and comes back with all of it but its end."""
    with testbed.holding(chance) as name:
        node = _node(testbed, name)
        _told(node, b"CONFIG SET appendfsync everysec")
        _told(node, b"CONFIG SET appendonly yes")
        kept = node.folder / "appendonlydir"
        _await(lambda: list(kept.glob("*.manifest")))
        time.sleep(chance.uniform(*LAG_SECONDS))
        node.kill()
        for path in kept.glob("*.incr.aof"):
            with path.open("ab") as file:
                file.truncate(max(0, file.tell() - chance.randrange(LOST_BYTES)))
        yield name
        node.start("--appendonly", "yes")
        with suppress(OSError):
            _told(node, b"CONFIG SET appendonly no")
        shutil.rmtree(kept, ignore_errors=True)


def promoted_replica(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node dies, and a replica that was behind takes its place, at the same address."""
    with testbed.holding(chance) as name, type(_node(testbed, name))() as replica:
        node = _node(testbed, name)
        host, port = testbed.endpoint(name)
        _told(replica, f"REPLICAOF {host} {port}".encode())
        _await(lambda: b"master_link_status:up" in replica.ask(b"INFO replication\r\n"))
        time.sleep(chance.uniform(*LAG_SECONDS))
        _told(replica, MASTER_OF_ITSELF)  # From here on it hears nothing.
        time.sleep(chance.uniform(*LAG_SECONDS))
        node.kill()
        _told(replica, b"SAVE")
        yield name
        shutil.copy(replica.folder / "dump.rdb", node.folder)
        with _saved(node):
            node.start()


def scripts_flushed(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Every node forgets its scripts, again and again."""
    for _ in range(FLUSHES):
        for name in testbed.serving():
            with suppress(OSError):
                _told(_node(testbed, name), b"SCRIPT FLUSH")
        time.sleep(chance.uniform(0.0, 0.3))
    yield ""


def full(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node has no memory left and evicts nothing: it refuses whatever would need some."""
    name = chance.choice(testbed.serving())
    with _limited(testbed, name, b"noeviction"):
        yield name


def evicts_all(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node has no memory left: it evicts what is used least, item by item."""
    name = chance.choice(testbed.serving())
    with _limited(testbed, name, b"allkeys-lru"):
        yield name


@contextmanager
def _limited(testbed: Testbed, name: str, policy: bytes) -> Iterator[None]:
    """While it may have less memory than an empty server takes."""
    node, usual = _node(testbed, name), testbed.plan.memory_mb
    testbed.excused = True
    with suppress(OSError):
        _told(node, b"CONFIG SET maxmemory-policy " + policy)
        _told(node, b"CONFIG SET maxmemory 1")
    yield
    testbed.excused = True
    with suppress(OSError):  # It may have been killed meanwhile: then it has its limit anew.
        _told(node, b"CONFIG SET maxmemory %dmb" % usual)
        _told(node, b"CONFIG SET maxmemory-policy allkeys-lru")


@contextmanager
def _saved(node: LocalRedis) -> Iterator[None]:
    """For one start with what was saved; the next one is empty."""
    try:
        yield
    finally:
        (node.folder / "dump.rdb").unlink(missing_ok=True)


def _await(condition: Callable[[], object]) -> None:
    """Until it is so."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.02)


def _node(testbed: Testbed, name: str) -> LocalRedis:
    node = testbed.node(name)
    assert isinstance(node, LocalRedis)
    return node


def _told(node: LocalRedis, words: bytes) -> None:
    """The server has done it. Raises OSError where it is not there."""
    with dial(node.endpoint, WAIT_SECONDS) as connection:
        connection.sendall(words + b"\r\n")
        said = connection.recv(4096)
    if not said.startswith(b"+OK"):
        raise OSError(f"{words!r}: {said!r}")
