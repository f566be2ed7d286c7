"""Add: store only if absent. One copy decides, and at any moment it is the same one for every process.

stable          the first replica that can be used, and the others consent (add_decide.py)
prepare, settle O's first, or N's; the others consent
copy            O's first, under the lease of N's first, the gate (add_gate.py)
flip            N's first, under its lease
"""

from ..errors import NoReplica
from ..model.view import Standing, View
from . import Flow, Item
from .add_decide import Addition, Readable, always
from .add_gate import decide_behind_gate
from .write import Batches, Outcome


def add(view: View, name: bytes, item: Item, readable: Readable = always) -> Flow[bool]:
    """Whether it was stored; False if any copy exists. Raises NoReplica where that can't be told."""
    addition = Addition(view, name, item, readable)
    route = addition.route
    if addition.owed():
        raise NoReplica(epoch=view.epoch)
    if route.fill:
        added, have = (yield from decide_behind_gate(addition)), {route.truth}
    else:
        added, have = (yield from addition.decide()), set(route.write)
    return added and (yield from _follow(addition, have))


def _follow(addition: Addition, have: set[str]) -> Flow[bool]:
    """Delete every other copy, sources before targets. In copy and flip the deciding copy is the only one: a counter on
    it may have been counted with already, and then no other copy may be as it was (count.py)."""
    outcomes = {addition.name: Outcome()}
    for part in (addition.route.first, addition.route.second):
        batches = Batches(addition.view)
        for node in part.write:
            if node not in have or addition.standing(node) is not Standing.OPEN:
                batches.add(addition.name, node, addition.place, None)
        for node in part.purge:
            batches.add(addition.name, node, addition.place, None, purge=True)
        yield from batches.carry(outcomes)
    return outcomes[addition.name].acknowledged
