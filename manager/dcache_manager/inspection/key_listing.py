"""The keys a node holds, from `lru_crawler metadump`: a live walk, so some may be missing and some come twice."""

import re
import time
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from django_dcache.errors import ConnectionLost, NodeFailure, NodeTimeout
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.pool import Limits

SILENCE = 15.0
"""Seconds without a word after which a listing node counts as hung."""
BUSY_RETRIES = 600
"""A node makes one listing at a time, and that of a large node takes its time."""
BUSY_PAUSE = 0.1

_line = re.compile(rb"key=(\S+) (.+)\n")
_facts = re.compile(rb"exp=-?\d+ la=(\d+) cas=\d+ fetch=(yes|no) cls=\d+ size=(\d+)")

Raw = tuple[bytes, bytes]
"""An item's wire key, and what the node says of it: `facts` reads that, for the few keys that are of interest."""


class DumpRefused(NodeFailure):
    """The node does not list its keys (started with -X, or without its LRU crawler)."""


class Item(NamedTuple):
    """One stored item. `accessed` is Unix time by the node's clock."""

    wire_key: bytes
    accessed: int
    fetched: bool
    size: int


def dump(node: Node, limits: Limits) -> Iterator[Item]:
    """Every item of `node`. Raises DumpRefused, or another NodeFailure."""
    for page in pages(node, limits):
        for wire_key, said in page:
            yield Item(wire_key, *facts(said))


def facts(said: bytes) -> tuple[int, bool, int]:
    """Last access, whether it was ever read, and size."""
    match = _facts.match(said)
    return (int(match[1]), match[2] == b"yes", int(match[3])) if match else (0, False, 0)


def pages(
    node: Node, limits: Limits, silence: float = SILENCE, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Raw]]:
    """Every item of `node`, some hundreds at a time; an empty page for each second of silence. Raises as `dump`."""
    for _ in range(BUSY_RETRIES):
        connection = Connection.open(node.name, limits.endpoint(node), limits.connect_timeout, limits.tls)
        try:
            refusal = yield from _listing(connection, silence)
            if refusal.startswith(b"CLIENT_ERROR") and b"disabled" in refusal and _enable(connection, silence):
                refusal = yield from _listing(connection, silence)
        finally:
            connection.close()
        if not refusal:
            return
        if not refusal.startswith(b"BUSY"):
            raise DumpRefused(refusal.decode("ascii", "replace"), node=node.name)
        sleep(BUSY_PAUSE)
        yield []
    raise DumpRefused("another listing has been running all the time", node=node.name)


def _listing(connection: Connection, silence: float) -> Generator[list[Raw], None, bytes]:
    """The pages of one listing; returns the node's words if it refuses."""
    for text in _texts(connection, b"lru_crawler metadump hash\r\n", silence):
        if text.startswith((b"BUSY", b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")):
            return text.strip()
        yield _items(text)
        if text.endswith(b"END\r\n"):
            return b""
    return b""


def _enable(connection: Connection, silence: float) -> bool:
    """Start the crawler of a node that was started with no_lru_crawler."""
    return next(filter(None, _texts(connection, b"lru_crawler enable\r\n", silence))) == b"OK\r\n"


def _items(text: bytes) -> list[Raw]:
    # Keys are percent-encoded, and Django's are full of colons: those are decoded all at once.
    text = text.replace(b"%3A", b":")
    items: list[Raw] = _line.findall(text)
    if b"%" in text:
        items = [(unquote_to_bytes(key) if b"%" in key else key, said) for key, said in items]
    return items


def _texts(connection: Connection, command: bytes, silence: float) -> Iterator[bytes]:
    """What the node says to `command`, cut between lines, for ever. Raises NodeTimeout, ConnectionLost."""
    rest = memoryview(command)
    while rest:
        rest = rest[connection.send(rest) :]
    buffer = b""
    quiet = 0.0
    while True:
        if not connection.poller.poll(1000):
            quiet += 1.0
            if quiet >= silence:
                raise NodeTimeout(node=connection.node)
            yield b""
            continue
        chunk = connection.receive()
        if chunk is None:
            continue
        quiet = 0.0
        lines, newline, buffer = (buffer + chunk).rpartition(b"\n")
        if len(buffer) > 65536:
            raise ConnectionLost("a line without an end", node=connection.node)
        if newline:
            yield lines + newline


def lines(connection: Connection, command: bytes, seconds: float) -> Iterator[bytes]:
    """The lines of the answer to `command`, for ever. Raises NodeTimeout, ConnectionLost."""
    for text in _texts(connection, command, seconds):
        yield from (line.rstrip(b"\r") for line in text.split(b"\n")[:-1])
