"""Making everything unreadable that a fleet holds, and nothing that others keep on its nodes
(docs/adr/0031-clear-leaves-neighbours-alone.md)."""

from collections.abc import Callable
from typing import Any

from ..commands import Command, Flush, Refused, Reply
from ..errors import NodeFailure
from ..model.state import FleetState
from ..model.topology import Phase
from ..model.view import View
from . import Flow, Load, Pause, Urgent, Wait
from .consensus import agree, stores


def clear(view: View, shared: Callable[[], Any], beginning: bytes = b"") -> Flow[bool]:
    """Empty each node, and plant the state there again. `shared` looks, and returns the names of nodes that may hold
    what is not this fleet's, and of those that are silent: these lose their slots instead, as does a node that does not
    do it. `beginning`: of the names that are removed where an engine can tell them from others.

    Returns once no process can read anything that was stored before. False: too few keepers could be told.
    """
    (neighbours, silent), view = yield Load(shared)
    names = [name for name, node in view.state.topology.nodes.items() if not node.out]
    if view.state.topology.phase is not Phase.STABLE and not view.coexists:
        # What is copied from a node that has yet to be emptied to one that was would be there again.
        neighbours = neighbours.union(names)
    replies: dict[str, Reply | NodeFailure] = {}
    state, away = view.state, silent.intersection(names)
    for number, group in enumerate(_groups(view, [name for name in names if name not in neighbours | silent])):
        if number:
            view = (yield Wait(0.0)) or view  # Each keeper has the time of an operation.
        empty: list[Command] = [Flush(beginning), *stores(view, state, view.documents.write(state))]
        said = yield dict.fromkeys(group, empty)
        replies |= {name: next((r for r in said[name] if isinstance(r, NodeFailure)), said[name][0]) for name in group}
        away |= {name for name, reply in replies.items() if isinstance(reply, NodeFailure)}
        found = yield from agree(view, lambda state: state, avoid=away, everywhere=True, round_type=Urgent)
        if not found.majority:
            return False
        state = found.state
    kept = neighbours.intersection(names) | {name for name, reply in replies.items() if isinstance(reply, Refused)}
    if not away and not kept:
        return True
    if view.coexists:
        return False  # Classic clients would read there what was to be forgotten.

    def change(state: FleetState) -> FleetState:
        for name in sorted(away | kept):
            state = state.bumped_whole(name)
        return state

    found = yield from agree(view, change, avoid=away, everywhere=True, round_type=Urgent)
    if found.majority and kept:
        yield Pause(view.hold)
    return found.majority


def _groups(view: View, names: list[str]) -> list[list[str]]:
    """One keeper after the other, so that a majority has the state all the time: a process that starts and finds none
    would plant what its settings say."""
    keepers = view.state.topology.all_keepers
    others = [name for name in names if name not in keepers]
    return [group for group in (others, *([name] for name in names if name in keepers)) if group]
