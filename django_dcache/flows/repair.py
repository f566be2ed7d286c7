"""Mending a keeper whose document is not to be believed: it is removed, and what the others hold takes its place."""

from ..commands import Command, Get, Remove, Reply, Store, Value
from ..errors import Conflict, InvalidTopology, NodeFailure
from ..model.documents import TRACE
from ..model.moments import minutes
from ..model.state import FleetState, state_key, trace_key
from ..model.view import View
from . import Flow
from .planting import highest_ever


def remove_document(view: View, node: str, document: bytes) -> Flow[None]:
    """Remove just this document from `node`. Raises Conflict if it holds another one by now, and NodeFailure.

    A trace is left first: should no keeper hold a state that may be believed, the next one is planted with generations
    that begin above all that were in use, and no value of before is read again.
    """
    key = state_key(view.fleet)
    reply = yield from _said(node, Get(key, token=True))
    if not isinstance(reply, Value) or reply.data != document:
        raise Conflict("the node holds another document by now", node=node)
    trace = view.documents.seal(TRACE, b"%d" % _highest(document, view.wall_clock()))
    yield from _said(node, Store(trace_key(view.fleet), 0, trace))
    yield from _said(node, Remove(key, 0, reply.token))


def _said(node: str, command: Command) -> Flow[Reply]:
    """What a node replied. Raises its failure."""
    (reply,) = (yield {node: [command]})[node]
    if isinstance(reply, NodeFailure):
        raise reply
    answer: Reply = reply
    return answer


def _highest(document: bytes, now: float) -> int:
    """The highest generation of a state, as far as it can be read, and as far as it can be true."""
    try:
        state = FleetState.decode(document)
    except InvalidTopology:
        return 0
    return min(highest_ever(state), 2 * minutes(now))
