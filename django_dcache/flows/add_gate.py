"""Add, where the replicas are being filled (copy and flip): one copy decides, under the lease of N's first, the gate.

Copy and flip run side by side until every process knows of flip. With the lease of the gate in hand no process of the
other phase decides; a lease that is void at the end means that one did, or wrote, and then nothing was added.
"""

from collections.abc import Iterable

from ..commands import Answer, Token, Value, is_item
from ..errors import NodeFailure, NoReplica
from ..model.view import Standing
from . import Brief, Flow, Pause
from .add_decide import Addition
from .write import write

TRIES = 20
WAIT = 0.002


def decide_behind_gate(addition: Addition) -> Flow[bool]:
    """Whether the item is on the copy that decides, and nowhere else. Raises NoReplica where that can't be told."""
    route, decider = addition.route, addition.route.truth
    token = None
    if route.gate:
        token = yield from _take_gate(addition)
        if token is None:
            return False
    # The gate's own copy may be the only one that is missing.
    others = {*route.read, *route.fill} - {decider, route.gate}
    if addition.standing(decider) is not Standing.OPEN or (yield from _exists(addition, others)):
        yield from _leave_gate(addition, token)
        return False
    if token and decider == route.gate:
        reply = yield from addition.ask(decider, addition.store(decider, addition.item, token))
        decided = None if isinstance(reply, NodeFailure) else reply is Answer.DONE
    else:
        held = yield from addition.decide_on(decider)
        decided = None if held is None else held.free
        if decided and not (yield from _leave_gate(addition, token)):
            yield from write(addition.view, {addition.name: None})
            return False
        if decided is False:
            yield from _leave_gate(addition, token)
    if decided is None:
        yield from addition.disown((decider,))
        yield from _leave_gate(addition, token)
        raise NoReplica(epoch=addition.view.epoch)
    return decided


def _exists(addition: Addition, nodes: Iterable[str]) -> Flow[bool]:
    """Whether any of them has it. One that is silent may have it, but what follows will bump it."""
    asks = {
        node: [addition.get(node, value=False)]
        for node in nodes
        if addition.standing(node) in (Standing.OPEN, Standing.CLOSED)
    }
    replies = (yield Brief(asks)) if asks else {}
    for node, (reply,) in replies.items():
        if is_item(reply):
            if not (yield from addition.look_inside(node, reply)).free:
                return True
    return False


def _take_gate(addition: Addition) -> Flow[Token | None]:
    """The lease of N's first; None if the item is there, or the lease can't be had."""
    gate = addition.route.gate
    if addition.standing(gate) is not Standing.OPEN:
        return None
    for attempt in range(TRIES):
        reply = yield from addition.ask(gate, addition.get(gate, value=False, lease=True))
        if isinstance(reply, NodeFailure):
            raise NoReplica(epoch=addition.view.epoch)
        if not isinstance(reply, Value) or not reply.stub:
            return None
        if reply.won:
            return reply.token
        if attempt == TRIES - 2:  # Its holder died, or will find it void.
            yield from addition.ask(gate, addition.remove(gate, reply.token))
        yield Pause(WAIT)
    return None


def _leave_gate(addition: Addition, token: Token | None) -> Flow[bool]:
    """Give the lease back. False if it was void, or may have been."""
    if token is None:
        return True
    gate = addition.route.gate
    return (yield from addition.ask(gate, addition.remove(gate, token))) is Answer.DONE
