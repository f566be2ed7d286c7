"""Nodes that come back with what they held before: from a disk, as a promoted replica, from a file of memory.

An incarnation of a node is one run of its process, known by who the process says it is. It has a mark among its items,
which goes where they go: a process that finds the mark of another one has its items from there, and they may be of any
age. So nothing is asked of it but the fleet's own keys, until

    renew       all slots of the node are new, and a majority of keepers holds that
    wait        every process that is believed has learned of it
    mark        the node is given the mark of its incarnation, and is a node like any other

Which incarnation the slots were renewed for is noted in the fleet state: it is done once, however many processes see it
(docs/adr/0033).
"""

from collections.abc import Mapping
from functools import partial
from zlib import crc32

from ..commands import Answer, Store
from ..model.state import FleetState, Note, mark_key, note_slot
from ..model.view import View
from . import Flow
from .consensus import agree

_NUMBERS = 2**32
"""A note is how often a node has returned, and a number made of its incarnation."""


def renew(view: View, held_since: dict[tuple[str, str], float], returned: Mapping[str, str]) -> Flow[list[str]]:
    """One look at the nodes that have `returned`, and as what; those that may be used again.

    `held_since`: when this process knew that a majority of keepers holds the new slots; kept from look to look.
    """
    marked: list[str] = []
    for gone in [seen for seen in held_since if returned.get(seen[0]) != seen[1]]:
        del held_since[gone]
    for node, incarnation in returned.items():
        if node not in view.state.topology.nodes:
            continue
        since = held_since.get((node, incarnation))
        # Classic clients read whatever it came back with: new slots would only part the two.
        ready = view.coexists or (since is not None and since + view.decided_after <= view.clock())
        if since is None and not ready:
            found = yield from agree(view, partial(_renewed, node=node, incarnation=incarnation))
            if found.majority:
                held_since[node, incarnation] = view.clock()
        elif ready:
            mark = Store(mark_key(view.fleet), 0, incarnation.encode())
            (reply,) = (yield {node: [mark]})[node]
            if reply is Answer.DONE:
                marked.append(node)
                held_since.pop((node, incarnation), None)
    return marked


def _renewed(state: FleetState, node: str, incarnation: str) -> FleetState:
    """With all slots of the node new, unless they are so for this incarnation already."""
    number, (times, last) = crc32(incarnation.encode()), divmod(state.note(node, Note.RETURNED), _NUMBERS)
    if times and last == number:
        return state
    noted = {note_slot(node, Note.RETURNED): (times + 1) * _NUMBERS + number}
    # What is out of service was given up when it was taken out, and is known by its generation until it is back.
    out = any(node in layout.out for layout in state.topology.layouts)
    return (state if out else state.bumped_whole(node)).bumped(noted)
