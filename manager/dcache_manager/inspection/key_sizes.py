"""The largest keys among those that nodes list within a moment: a sample, for a full walk takes minutes."""

import heapq
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from django_dcache.engines import introspection_of
from django_dcache.errors import NodeFailure
from django_dcache.model.keys import RESERVED, is_chunk, parse_wire_key, plain
from django_dcache.model.topology import Node
from django_dcache.transport.key_listing import pages
from django_dcache.transport.limits import Limits

from . import node_query

MAX_LISTED = 20_000
"""Keys of a node: it lists them by their hashes, so that the first ones are as good as any."""
LARGEST = 20
"""That are kept of a node."""


@dataclass(slots=True)
class NodeSizes:
    """What one node listed."""

    largest: list[tuple[int, bytes]] = field(default_factory=list)
    """(bytes of the item, name), the largest first."""
    listed: int = 0
    complaint: str = ""
    """Why it listed nothing, or no more."""


def measure(nodes: Iterable[Node], limits: Limits, seconds: float) -> dict[str, NodeSizes]:
    """What each node listed within `seconds`, by name. Never raises."""
    return node_query.watch(nodes, seconds, NodeSizes, partial(_measure, limits))


def _measure(limits: Limits, node: Node, deadline: float, found: NodeSizes) -> None:
    facts = introspection_of(node).facts
    largest: dict[bytes, int] = {}
    try:
        with closing(pages(node, limits, max(0.001, deadline - time.monotonic()))) as listing:
            for page in listing:
                for wire_key, said in page:
                    if (name := _name(wire_key)) is not None:
                        found.listed += 1
                        largest[name] = facts(said).size
                if len(largest) > 4 * LARGEST:
                    largest = dict(heapq.nlargest(LARGEST, largest.items(), key=lambda item: item[1]))
                if found.listed >= MAX_LISTED or time.monotonic() > deadline:
                    break
    except NodeFailure as failure:
        found.complaint = failure.cause
    found.largest = sorted(((size, name) for name, size in largest.items()), reverse=True)[:LARGEST]


def _name(wire_key: bytes) -> bytes | None:
    """The name of a key of the site."""
    parsed = parse_wire_key(wire_key)
    if parsed is None or is_chunk(parsed[0]) or parsed[0].startswith(RESERVED):
        return None
    return plain(parsed[0])
