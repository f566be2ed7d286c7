"""Storing items from a snapshot one by one, on engines that have no bytes for millions of them (`BulkFill`).

Each is added where no copy is there, by the flow that `cache.add` takes.
"""

from collections.abc import Sequence

from django_dcache.engines.inspection import BulkItem
from django_dcache.errors import Conflict, NodeFailure
from django_dcache.flows import Item
from django_dcache.flows.add import add
from django_dcache.model.topology import Phase
from django_dcache.runtime.fleet import Fleet

from .batch import Filled


class ItemWriter:
    """Does what BatchWriter does, in one operation an item."""

    lease_seconds = 0
    """It leaves no lease behind."""

    def __init__(self, fleet: Fleet):
        """Raises Conflict while keys are moving."""
        self._fleet, view = fleet, fleet.proven_view()
        if view.state.topology.phase is not Phase.STABLE:
            raise Conflict("keys are moving; load once the resize has ended", epoch=view.epoch)

    def seconds_to_ttl(self, seconds: float | None, now: float) -> int:
        """Whole seconds; 0: for ever."""
        return 0 if seconds is None else max(1, -int(-seconds // 1))

    def store(self, items: Sequence[BulkItem]) -> Filled:
        found = Filled()
        for number, (name, flags, ttl, data) in enumerate(items):
            try:
                if self._fleet.run(add, name, Item(flags, data, ttl or None)):
                    found.stored += 1
                    found.bytes += len(data)
                else:
                    found.present += 1
            except NodeFailure as failure:
                found.failed.append(number)
                found.failures[failure.node or "fleet"] = failure
        return found
