"""What no fleet comes to by itself: a state that says it is refused, even where its signature is ours.

Each of these numbers only grows, so one that is too high can't be taken back: it would stop every change for good, or
cost every process its time, for as long as a keeper holds it.
"""

from .state import MAX_PREFIXES, FleetState
from .topology import MAX_NODES

MAX_COUNT = 10**9
"""Epochs, fences and wishes: one each second for thirty years."""
MAX_LEAP = 10**6
"""Epochs between two looks of one process."""
MAX_OWNERS = 64


def reason_against(state: FleetState, epoch: int) -> str | None:
    """Why a state can't be one, to a process that knows of `epoch` (0: of none); None if it can."""
    topology = state.topology
    if max(topology.epoch, topology.fence, state.fence, state.control.serial) >= MAX_COUNT:
        return "it counts epochs or changes that no fleet has seen"
    if epoch and topology.epoch - epoch > MAX_LEAP:
        return f"it is at epoch {topology.epoch:,}, and the fleet at {epoch:,}"
    if len(state.prefixes) > MAX_PREFIXES or len(state.marks) > MAX_OWNERS:
        return "it has more prefixes or owners than a fleet can have"
    if state.leavers > MAX_NODES:
        return f"it has {state.leavers:,} generations of nodes that are not in the fleet"
    return None
