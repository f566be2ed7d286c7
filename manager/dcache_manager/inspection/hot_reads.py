"""Which keys are asked for most, by what nodes log of what they look up: watched for a moment, and only a sample.

A node looks a key up for a write too, and logs that in the same way.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from django_dcache.engines import introspection_of
from django_dcache.engines.inspection import NotListed
from django_dcache.errors import NodeFailure
from django_dcache.model.keys import RESERVED, is_chunk, parse_wire_key, plain
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

from . import node_query

MAX_READS = 50_000
"""That are looked at of a node at most: a busy one logs more than a command can read beside the site."""
MAX_KEYS = 20_000
"""Different ones that are counted of a node: those that come after are not the hottest."""


@dataclass(slots=True)
class NodeReads:
    """What one node logged."""

    keys: Counter[bytes] = field(default_factory=Counter)
    """Names of items, by how often they were read."""
    reads: int = 0
    """How many reads of the site were seen: of all keys."""
    seconds: float = 0.0
    complaint: str = ""
    """Why the node logged nothing, or no more."""

    def add(self, wire_keys: Iterable[bytes]) -> None:
        for key in wire_keys:
            parsed = parse_wire_key(key)
            # The index of a large value was read too, and the state is read by its keepers' clients alone.
            if parsed is None or is_chunk(parsed[0]) or parsed[0].startswith(RESERVED):
                continue
            name = plain(parsed[0])
            self.reads += 1
            if name in self.keys or len(self.keys) < MAX_KEYS:
                self.keys[name] += 1


def watch(nodes: Iterable[Node], limits: Limits, seconds: float) -> dict[str, NodeReads]:
    """What each node logged within `seconds`, by name. Never raises."""
    return node_query.watch(nodes, seconds, NodeReads, partial(_watch, limits))


def _watch(limits: Limits, node: Node, deadline: float, found: NodeReads) -> None:
    log = introspection_of(node).reads_log
    if log is None:
        found.complaint = "nodes of its kind do not tell what they are asked for"
        return
    began, reader = time.monotonic(), log()
    try:
        connection = Connection.open(node, limits, max(0.001, deadline - began))
        try:
            unsent = memoryview(reader.request)
            while unsent:
                unsent = unsent[connection.send(unsent) :]
            while found.reads < MAX_READS and (left := deadline - time.monotonic()) > 0:
                if connection.poller.poll(left * 1000) and (chunk := connection.receive()) is not None:
                    found.add(reader.feed(chunk))
                found.seconds = time.monotonic() - began
        finally:
            connection.close()
    except NotListed as refusal:
        found.complaint = str(refusal)
    except NodeFailure as failure:
        found.complaint = failure.cause
