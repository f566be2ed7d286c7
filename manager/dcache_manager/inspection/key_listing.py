"""The keys a node holds, from its own listing: a live walk, so some may be missing and some come twice."""

import time
from collections.abc import Callable, Generator, Iterator

from django_dcache.engines.memcached.introspection import (
    ENABLE_LISTING,
    LIST_KEYS,
    Raw,
    item_facts,
    listed_items,
    listing_can_be_enabled,
    listing_enabled,
    listing_ends,
    listing_is_busy,
    listing_refusal,
)
from django_dcache.errors import ConnectionLost, NodeFailure, NodeTimeout
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

__all__ = ["ListingRefused", "Raw", "item_facts", "pages"]

SILENCE_SECONDS = 15.0
"""After this long without a word a listing node counts as hung."""
BUSY_RETRIES = 600
"""A node makes one listing at a time, and that of a large node takes its time."""
BUSY_PAUSE_SECONDS = 0.1
POLL_SECONDS = 1.0
MAX_LINE_BYTES = 65536


class ListingRefused(NodeFailure):
    """The node does not list its keys (started with -X, or without its LRU crawler)."""


def pages(
    node: Node, limits: Limits, silence: float = SILENCE_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Raw]]:
    """Every item of `node`, some hundreds at a time; an empty page for each second of silence.

    Raises ListingRefused, or another NodeFailure.
    """
    for _ in range(BUSY_RETRIES):
        connection = Connection.open(node, limits, limits.connect_timeout)
        try:
            refusal = yield from _listing(connection, silence)
            if listing_can_be_enabled(refusal) and _enable(connection, silence):
                refusal = yield from _listing(connection, silence)
        finally:
            connection.close()
        if not refusal:
            return
        if not listing_is_busy(refusal):
            raise ListingRefused(refusal.decode("ascii", "replace"), node=node.name)
        sleep(BUSY_PAUSE_SECONDS)
        yield []
    raise ListingRefused("another listing has been running all the time", node=node.name)


def _listing(connection: Connection, silence: float) -> Generator[list[Raw], None, bytes]:
    """The pages of one listing; returns the node's words if it refuses."""
    for text in whole_lines(connection, LIST_KEYS, silence):
        if refusal := listing_refusal(text):
            return refusal
        yield listed_items(text)
        if listing_ends(text):
            return b""
    return b""


def _enable(connection: Connection, silence: float) -> bool:
    return listing_enabled(next(filter(None, whole_lines(connection, ENABLE_LISTING, silence))))


def whole_lines(connection: Connection, command: bytes, silence: float) -> Iterator[bytes]:
    """What the node answers to `command`, cut between lines, without end. Raises NodeTimeout, ConnectionLost."""
    rest = memoryview(command)
    while rest:
        rest = rest[connection.send(rest) :]
    buffer = b""
    quiet = 0.0
    while True:
        if not connection.poller.poll(POLL_SECONDS * 1000):
            quiet += POLL_SECONDS
            if quiet >= silence:
                raise NodeTimeout(node=connection.node)
            yield b""
            continue
        chunk = connection.receive()
        if chunk is None:
            continue
        quiet = 0.0
        lines, newline, buffer = (buffer + chunk).rpartition(b"\n")
        if len(buffer) > MAX_LINE_BYTES:
            raise ConnectionLost("a line without an end", node=connection.node)
        if newline:
            yield lines + newline
