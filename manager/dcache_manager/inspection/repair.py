"""Mending keepers that count as silent, because what they hold as the fleet's state is not to be believed."""

from django_dcache.errors import Conflict
from django_dcache.flows.repair import remove_document
from django_dcache.model.state import state_key

from ..errors import NothingToRepair
from .fleet_report import FleetReport
from .target import Target


def repair(target: Target, seen: FleetReport, name: str) -> bool:
    """Remove the document that was seen on this keeper. Whether the fleet's state has taken its place already.

    Raises NothingToRepair, Conflict if the keeper holds another document by now, NodeFailure.
    """
    if name not in seen.refused:
        refused = ", ".join(seen.refused) or "none"
        raise NothingToRepair(f"keepers whose state is not to be believed: {refused}", node=name)
    node = seen.topology.nodes[name]
    document = seen.of(node).reply.documents[state_key(target.name)]
    with target.connected() as fleet:
        fleet.proven_view()
        if name not in fleet.view.state.topology.nodes:
            raise Conflict("it is no node of the fleet any more; look again", node=name)
        fleet.run(remove_document, name, document)
        fleet.doubt()
        fleet.proven_view()
        return fleet.proven
