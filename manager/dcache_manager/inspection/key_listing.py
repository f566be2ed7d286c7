"""The keys a node holds, from its own listing: a live walk, so some may be missing and some come twice."""

import time
from collections.abc import Callable, Iterator

from django_dcache.engines import introspection_of
from django_dcache.engines.inspection import Listing, NotListed, Raw
from django_dcache.errors import NodeFailure, NodeTimeout
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

SILENCE_SECONDS = 15.0
"""After this long without a word a listing node counts as hung."""
BUSY_RETRIES = 600
"""A node makes one listing at a time, and that of a large node takes its time."""
BUSY_PAUSE_SECONDS = 0.1
POLL_SECONDS = 1.0


class ListingRefused(NodeFailure):
    """The node does not list its keys; `doctor` says why."""


def pages(
    node: Node, limits: Limits, silence: float = SILENCE_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Raw]]:
    """Every item of `node`, some hundreds at a time; an empty page for each second of silence.

    Raises ListingRefused, or another NodeFailure.
    """
    for _ in range(BUSY_RETRIES):
        connection = Connection.open(node, limits, limits.connect_timeout)
        try:
            yield from listed(connection, introspection_of(node).listing(), silence)
            return
        except NotListed as refusal:
            if not refusal.busy:
                raise ListingRefused(str(refusal), node=node.name) from refusal
        except NodeFailure as failure:
            failure.node = node.name
            raise
        finally:
            connection.close()
        sleep(BUSY_PAUSE_SECONDS)
        yield []
    raise ListingRefused("another listing has been running all the time", node=node.name)


def listed(connection: Connection, listing: Listing, silence: float) -> Iterator[list[Raw]]:
    """The pages of one listing. Raises NotListed, NodeFailure."""
    quiet = 0.0
    while not listing.over:
        unsent = memoryview(listing.request)
        while unsent:
            unsent = unsent[connection.send(unsent) :]
        listing.request = b""
        if not connection.poller.poll(POLL_SECONDS * 1000):
            quiet += POLL_SECONDS
            if quiet >= silence:
                raise NodeTimeout(node=connection.node)
            yield []
            continue
        chunk = connection.receive()
        if chunk is not None:
            quiet = 0.0
            yield listing.feed(chunk)
