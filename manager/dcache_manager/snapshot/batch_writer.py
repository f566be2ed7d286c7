"""Batches under the fleet's present state: a proven view, one epoch, and no slot that is in quarantine."""

import time
from collections.abc import Callable, Mapping, Sequence

from django_dcache.engines import introspection_of
from django_dcache.engines.inspection import BulkItem
from django_dcache.errors import Coexisting, Conflict, NoMajority
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.keys import SLOTS, wire_key
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Phase
from django_dcache.model.view import Standing, View
from django_dcache.runtime.fleet import Fleet

from .batch import Batch, Filled, Routes
from .item_writer import ItemWriter
from .node_batch import KeyPrefixes, NodeBatch

OUTAGE_SECONDS = 10.0
"""For which a majority of keepers may be away."""
RETRY_SECONDS = 0.1


class BatchWriter:
    """Stores batches under the present epoch."""

    def __init__(self, fleet: Fleet, sleep: Callable[[float], None] = time.sleep):
        """Raises Conflict while keys are moving, and while classic clients would read leases as values."""
        self._fleet, self._sleep = fleet, sleep
        view = fleet.proven_view()
        if view.coexists:
            raise Coexisting("a snapshot is loaded under leases", epoch=view.epoch)
        if view.state.topology.phase is not Phase.STABLE:
            raise Conflict("keys are moving; load once the resize has ended", epoch=view.epoch)
        self._epoch = view.epoch
        self.lease_seconds = int(fleet.options.operation) + 2
        """Longer than a batch takes, by nodes that count whole seconds; after that, a lease left behind is gone."""
        self._routes = Routes.of(view)
        self._nodes = {node for route in self._routes.routes for node in route}
        """Those in service."""
        fill = introspection_of(view.state.topology.layout.nodes[0]).bulk_fill
        assert fill is not None, "an engine without them has its items stored by ItemWriter"
        self._fill, self.seconds_to_ttl = fill, fill.seconds_to_ttl
        self._state: FleetState | None = None
        self._prefixes: dict[str, KeyPrefixes] = {}

    def store(self, items: Sequence[BulkItem]) -> Filled:
        """Raises Conflict when the fleet has moved on, NoMajority when its state can't be proven any more."""
        fleet = self._fleet
        began = self._proven()
        view = fleet.view
        if view.epoch != self._epoch:
            raise Conflict(
                f"the load began under epoch {self._epoch}; load again, and it continues from here", epoch=view.epoch
            )
        timeout, clock = fleet.options.timeout, fleet.clock
        batch = self.batch(view, items)
        try:
            batch.open(timeout / 2)
            batch.ask(self.lease_seconds)
            batch.carry(began + timeout, clock)
            batch.answer()
            batch.carry(began + fleet.options.operation, clock)
            return batch.outcome()
        except BaseException:
            batch.abandon()
            raise

    def _proven(self) -> float:
        """When the next batch has begun, its view being proven: a keeper may be silent for a moment."""
        give_up = self._fleet.clock() + OUTAGE_SECONDS
        while True:
            began = self._fleet.begin()
            if self._fleet.proven:
                return began
            if began >= give_up:
                raise NoMajority
            self._sleep(RETRY_SECONDS)

    def batch(self, view: View, items: Sequence[BulkItem]) -> Batch:
        """A batch that has yet to begin."""
        if view.state is not self._state:
            self._state = view.state
            self._prefixes = {
                node: [wire_key(b"", view.generation(node, slot)) for slot in range(SLOTS)] for node in self._nodes
            }
        prefixes = self._prefixes | _closed(view, self._prefixes) if view.bumps or view.debts else self._prefixes
        pools = self._fleet.transport.pools()
        nodes = {node: NodeBatch(pools[node], prefixes[node]) for node in prefixes}
        return Batch(items, self._routes, nodes, self._fill)


def writer(fleet: Fleet) -> BatchWriter | ItemWriter:
    """What stores items on the engine of a fleet. Raises Conflict while keys are moving."""
    in_bytes = introspection_of(fleet.configuration.layout.nodes[0]).bulk_fill
    return BatchWriter(fleet) if in_bytes else ItemWriter(fleet)


def _closed(view: View, prefixes: Mapping[str, KeyPrefixes]) -> dict[str, KeyPrefixes]:
    """The prefixes of nodes that have slots where nothing may be stored now."""
    closed: dict[str, set[int]] = {node: set() for node in prefixes}
    for node, slot in {*view.bumps, *view.debts}:
        slots = range(SLOTS) if slot == WHOLE_NODE else (slot,)
        if node in closed:
            closed[node].update(slot for slot in slots if view.standing(node, slot) is not Standing.OPEN)
    return {
        node: [None if slot in slots else prefix for slot, prefix in enumerate(prefixes[node])]
        for node, slots in closed.items()
        if slots
    }
