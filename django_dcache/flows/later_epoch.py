"""A resize has gone on: what a process did not find, because others have moved it already, it looks for once more."""

from ..errors import NoReplica
from ..model.view import View
from . import Flow, Wait
from .consensus import agree, compare


def later(view: View) -> Flow[View | None]:
    """The view of the epoch that the fleet is in, if it is a later one than this view's: an operation can begin again
    by it. Raises NoReplica if the request has no time for that."""
    same, answered = yield from compare(view)
    if answered <= same:
        return None
    found = yield from agree(view, lambda state: state)
    if found.state.topology.epoch <= view.epoch and found.state.planted == view.state.planted:
        return None
    newest: View | None = yield Wait(0.0)
    if newest is None or newest.epoch <= view.epoch:
        raise NoReplica(epoch=view.epoch)
    return newest
