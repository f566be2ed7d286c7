"""The keys a node holds, from its own listing: a live walk, so some may be missing and some come twice."""

import time
from collections.abc import Callable, Generator, Iterator

from ..engines import introspection_of
from ..engines.inspection import Listing, NotListed, Raw
from ..errors import NodeFailure, NodeTimeout
from ..model.topology import Node
from .connection import Connection
from .limits import Limits

SILENCE_SECONDS = 15.0
"""After this long without a word a listing node counts as hung."""
LEAST_BYTES_PER_SECOND = 1000
"""What a listing node has to say in the long run: one byte now and then is as good as silence."""
MAX_LISTED = 10**9
"""More items than a node can hold: a listing without an end."""
BUSY_RETRIES = 600
"""A node makes one listing at a time, and that of a large node takes its time."""
BUSY_PAUSE_SECONDS = 0.1
POLL_SECONDS = 1.0


class ListingRefused(NodeFailure):
    """The node does not list its keys; `doctor` says why."""


def pages(
    node: Node, limits: Limits, silence: float = SILENCE_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> Generator[list[Raw], None, None]:
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


def listed(
    connection: Connection,
    listing: Listing,
    silence: float,
    most: int = MAX_LISTED,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Raw]]:
    """The pages of one listing. Raises NotListed, NodeFailure."""
    quiet, count = 0.0, 0
    while not listing.over:
        unsent = memoryview(listing.request)
        while unsent:
            unsent = unsent[connection.send(unsent) :]
        listing.request = b""
        # Only the waiting counts: the reader of the pages may take its time with each.
        began = clock()
        ready = connection.poller.poll(POLL_SECONDS * 1000)
        quiet += clock() - began if ready else POLL_SECONDS
        chunk = connection.receive() if ready else None
        if chunk is not None:
            quiet = max(0.0, quiet - len(chunk) / LEAST_BYTES_PER_SECOND)
        if quiet >= silence:
            raise NodeTimeout(node=connection.node)
        page = listing.feed(chunk) if chunk is not None else []
        count += len(page)
        if count > most:
            raise ListingRefused(f"it lists more than {most:,} keys", node=connection.node)
        yield page
