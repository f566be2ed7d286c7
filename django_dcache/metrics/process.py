"""What this process knows of its fleets and their nodes at this moment."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ..model.generations import NONE
from ..model.topology import Phase
from ..runtime import registry
from ..transport.breaker import State

READINGS = {
    "unproven_seconds": "Seconds for which too few keepers have answered; 0 while a majority does.",
    "epoch": "The epoch of the fleet's map.",
    "resizing": "1 while a resize moves keys.",
    "nodes_out": "Nodes that are out of service.",
    "bumps": "The generations of all slots of the nodes, added up: grows with each write that may have been lost.",
    "near_bytes": "What the near cache of this process takes, about, in bytes.",
    "near_hits": "Reads that the near cache has answered.",
    "near_refused": "Values that the near cache did not take: too large, or read too slowly.",
    "node_up": "1 if this process uses the node as any other, 0 while it leaves it alone or tries it.",
    "node_seconds": "Running mean of the node's answers, in seconds, as far as it is known.",
    "node_connections": "Open connections of this process to the node.",
    "node_idle_connections": "Those that no thread uses.",
}


class Reading(NamedTuple):
    """A number as it is now."""

    name: str
    fleet: str
    node: str
    """Empty if it is one of the whole fleet."""
    number: float


def readings() -> Iterator[Reading]:
    """Of each fleet in use in this process."""
    for fleet in registry.fleets():
        name, topology = fleet.configuration.fleet, fleet.view.state.topology
        yield Reading("unproven_seconds", name, "", fleet.reports.unproven_seconds)
        yield Reading("epoch", name, "", topology.epoch)
        yield Reading("resizing", name, "", topology.phase is not Phase.STABLE)
        yield Reading("nodes_out", name, "", len(topology.layout.out))
        generations = fleet.view.state.generations
        yield Reading("bumps", name, "", sum(generations.get(node, NONE).total for node in topology.nodes))
        if near := fleet.near:
            yield Reading("near_bytes", name, "", near.held_bytes)
            yield Reading("near_hits", name, "", near.hits)
            yield Reading("near_refused", name, "", near.refused)
        for node, pool in fleet.transport.pools().items():
            yield Reading("node_up", name, node, pool.breaker.state is State.UP)
            if pool.latency:
                yield Reading("node_seconds", name, node, pool.latency)
            yield Reading("node_connections", name, node, pool.connections)
            yield Reading("node_idle_connections", name, node, len(pool.idle))


def events() -> Counter[tuple[str, str]]:
    """What happened in this process since it began, by (fleet, event)."""
    found: Counter[tuple[str, str]] = Counter()
    for fleet in registry.fleets():
        for event, count in list(fleet.counters.items()):
            found[fleet.configuration.fleet, event] += count
    return found


def failures() -> Counter[tuple[str, str, str]]:
    """Of nodes, by (fleet, node, cause)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for fleet in registry.fleets():
        for node, pool in fleet.transport.pools().items():
            for cause, count in list(pool.failures.items()):
                found[fleet.configuration.fleet, node, cause] += count
    return found
