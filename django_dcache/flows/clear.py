"""Making everything unreadable that a fleet holds, and nothing that others keep on its nodes
(docs/adr/0031-clear-leaves-neighbours-alone.md)."""

from collections.abc import Callable
from typing import Any

from ..commands import Flush, Refused
from ..errors import NodeFailure
from ..model.state import FleetState
from ..model.view import View
from . import Flow, Load, Pause, Urgent
from .consensus import agree


def clear(view: View, shared: Callable[[], Any], beginning: bytes = b"") -> Flow[bool]:
    """Empty each node and plant the state again. `shared` looks, and returns the names of nodes that may hold what is
    not this fleet's, and of those that are silent: these lose their slots instead, as does a node that does not do it.
    `beginning`: of the names that are removed where an engine can tell them from others.

    Returns once no process can read anything that was stored before. False: too few keepers could be told.
    """
    (neighbours, silent), view = yield Load(shared)
    names = [name for name, node in view.state.topology.nodes.items() if not node.out]
    flushes = {name: [Flush(beginning)] for name in names if name not in neighbours | silent}
    replies = (yield flushes) if flushes else {}
    away = silent.intersection(names) | {name for name, (reply,) in replies.items() if isinstance(reply, NodeFailure)}
    kept = neighbours.intersection(names) | {name for name, (reply,) in replies.items() if isinstance(reply, Refused)}

    if view.coexists and (away or kept):
        return False  # Classic clients would read there what was to be forgotten.

    def change(state: FleetState) -> FleetState:
        for name in sorted(away | kept):
            state = state.bumped_whole(name)
        return state

    found = yield from agree(view, change, avoid=away, everywhere=True, round_type=Urgent)
    if found.majority and kept:
        yield Pause(view.hold)
    return found.majority or not (away or kept)
