"""Counters: incr and decr. One may be lost in a change of phase; it never runs backwards or counts twice."""

from ..commands import Answer, Arithmetic, Command, Get, Refused, Remove, Store, Value
from ..errors import NodeFailure
from ..model.view import Place, Standing, View
from ..values.plain import signed
from . import Flow, Pause, lost
from .consensus import bump

PULLS = 20
PULL_WAIT = 0.002


class NotANumber(Exception):
    """The stored value can't be counted with."""


def count(view: View, name: bytes, delta: int) -> Flow[int | None]:
    """Add `delta`; the new number, or None if there is no such counter. Raises NotANumber.

    stable   every replica counts (additions commute), the first one's answer is the result
    moving   only `route.truth` counts, and all other copies are voided: two processes one phase apart must not take
             their numbers from different copies. In flip it is pulled from O's first to N's first.
    """
    place = view.place(name)
    route, slot = place
    if any(view.standing(node, slot) is Standing.OWED for node in route.write + route.purge):
        return None  # Others still read there what this process could not disown.
    if not route.truth:
        answer, _ = yield from _round(view, name, place, route.first.write, (), delta)
        return None if answer is None else signed(answer)
    if route.gate == route.truth and not (yield from _pull(view, name, place)):
        return None
    answer = None
    for part in (route.first, route.second):
        counting = tuple(node for node in part.write if node == route.truth)
        rest = tuple(node for node in part.write + part.purge if node != route.truth)
        heard, sound = yield from _round(view, name, place, counting, rest, delta)
        if not sound or (counting and heard is None):
            return None
        answer = heard if counting else answer
    return None if answer is None else signed(answer)


def _round(
    view: View, name: bytes, place: Place, counting: tuple[str, ...], voided: tuple[str, ...], delta: int
) -> Flow[tuple[int | None, bool]]:
    """The number, if there is one; and whether no copy is left that may be wrong."""
    route, slot = place
    batches: dict[str, list[Command]] = {}
    for node in counting + voided:
        standing, generation = view.standing(node, slot), view.generation(node, slot)
        if standing is Standing.CLOSED or (node in voided and standing is Standing.OPEN):
            batches[node] = [Remove(name, generation)]
        elif standing is Standing.OPEN:
            batches[node] = [Arithmetic(name, generation, delta)]
    if not batches:
        return None, True
    replies = yield batches
    gone = route.purge
    # Nobody knows whether a silent copy counted.
    suspect = {(node, slot) for node, (reply,) in replies.items() if lost(batches[node][0], reply, node in gone)}
    if suspect and not (yield from bump(view, suspect | {(other, slot) for other in route.joining})):
        return None, False
    for node in counting:
        reply = replies[node][0] if node in replies else None
        if isinstance(reply, Refused) and (node, slot) not in suspect:
            if not (yield from _is_number(view, name, slot, node)):
                raise NotANumber
        elif isinstance(reply, Value) and reply.data is not None:
            return int(reply.data), True
    return None, True


def _is_number(view: View, name: bytes, slot: int, node: str) -> Flow[bool]:
    """Whether what could not be counted is no obstacle: a stub, or the number that took its place since."""
    (reply,) = (yield {node: [Get(name, view.generation(node, slot))]})[node]
    return not isinstance(reply, Value) or reply.stub or reply.data is None or reply.data.rstrip(b" ").isdigit()


def _pull(view: View, name: bytes, place: Place) -> Flow[bool]:
    """Flip: move the counter from O's first to N's first, so that it can be counted there. False if there is none.

    The source goes away only as the very item that was copied (by its token): a process one phase behind may be
    counting on it still, and a number it handed out must not be handed out again.
    """
    route, slot = place
    source, target = route.fill[0], route.truth
    if view.standing(target, slot) is not Standing.OPEN or view.standing(source, slot) is not Standing.OPEN:
        return False
    there, here = view.generation(target, slot), view.generation(source, slot)
    for attempt in range(PULLS):
        (copy,) = (yield {target: [Get(name, there, lease=True)]})[target]
        (old,) = (yield {source: [Get(name, here, ttl=True, token=True)]})[source]
        if isinstance(copy, NodeFailure) or isinstance(old, NodeFailure) or not isinstance(copy, Value):
            return False
        gone = not isinstance(old, Value) or old.stub or old.data is None or old.ttl == 0
        if copy.stub and not copy.won:
            if attempt == PULLS - 2:  # Whoever holds the lease died, or will find it void.
                yield {target: [Remove(name, there, copy.token)]}
            yield Pause(PULL_WAIT)
        elif copy.won and gone:
            yield {target: [Remove(name, there, copy.token)]}
            return False
        elif gone:
            return True
        elif copy.won:
            store = Store(name, there, old.data, old.flags, old.ttl, token=copy.token)
            (stored,) = (yield {target: [store]})[target]
            if stored is Answer.DONE and (yield from _retire(view, name, source, here, old, target, there)):
                return True
        elif copy.data != old.data:
            yield {target: [Remove(name, there)]}
        elif (yield from _retire(view, name, source, here, old, target, there)):
            return True
    return False


def _retire(view: View, name: bytes, source: str, here: int, old: Value, target: str, there: int) -> Flow[bool]:
    """Delete the source's item if it is still the one that was copied; else take the copy back."""
    (reply,) = (yield {source: [Remove(name, here, old.token)]})[source]
    if reply is Answer.DONE:
        return True
    yield {target: [Remove(name, there)]}
    return False
