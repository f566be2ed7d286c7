"""Which slots a lost write makes unreachable in a fleet whose keys move."""

from collections.abc import Mapping

from ..model.state import FleetState, Slot
from ..model.topology import Layout, Phase


def disowned(state: FleetState, lost: Mapping[Slot, int], known: tuple[Layout, ...] = ()) -> FleetState:
    """`state` with at least these generations; and with new ones where what these slots held may be copied to.

    The process that lost the write may have stood still, or have been cut off, since before the move began. To others
    the slot is as it was until they learn of the bump, and they fill joining nodes from it. `known`: the layouts whose
    joining nodes are in `lost` already.
    """
    moving = state.topology.phase is not Phase.STABLE and state.topology.layouts != known
    targets = state.topology.layouts[-1].nodes if moving else ()
    copied = {slot for (node, slot), wanted in lost.items() if state.generation(node, slot) < wanted}
    places = {(node.name, slot) for node in targets for slot in copied} - lost.keys()
    return state.bumped({**lost, **{place: state.generation(*place) + 1 for place in places}})
