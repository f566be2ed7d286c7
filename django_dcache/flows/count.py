"""Counters: incr and decr. No number is handed out twice, and none below one that was handed out before.

A number is handed out once every copy that has the counter agreed to it (count_agree.py). Which copies those are:

    stable           any copy may count first, if those before it have no counter
    prepare          only `route.truth`; the others agree
    copy, flip, settle  only `route.truth`, and the others are voided. In flip it is pulled from O's first to N's first
"""

from ..commands import Arithmetic
from ..errors import NoReplica
from ..model.state import Slot
from ..model.view import Standing, View
from ..values.plain import MOST
from . import Flow, Owe
from .count_agree import Count, Undecided
from .count_pull import pull, purge_behind
from .later_epoch import later


def count(view: View, name: bytes, delta: int) -> Flow[int | None]:
    """Add `delta`; the new number, or None if there is no such counter.

    Raises NoReplica where that can't be told, NotANumber, and OverflowError for a number or a delta beyond 64 bits.
    """
    if abs(delta) > MOST:
        raise OverflowError(f"delta {delta} takes more than 64 bits")
    number = yield from _count_by(view, name, delta)
    # In copy the old copy counts. A process that is in flip already may have pulled it away.
    while number is None and view.place(name).route.fill and (newest := (yield from later(view))):
        view = newest
        number = yield from _count_by(view, name, delta)
    return number


def _count_by(view: View, name: bytes, delta: int) -> Flow[int | None]:
    this = Count(view, name, delta)
    route = this.route
    if this.owed():
        raise NoReplica(epoch=view.epoch)
    try:
        if not route.truth:
            return (yield from this.agree(route.write))
        if not route.fill:
            return (yield from _while_moving(this))
        if route.gate == route.truth and not (yield from pull(this)):
            return None
        return (yield from _alone(this))
    except Undecided:
        raise NoReplica(epoch=view.epoch) from None


def _while_moving(this: Count) -> Flow[int | None]:
    """Prepare and settle, beside processes that are in stable already, or still."""
    route = this.route
    if this.standing(route.truth) is not Standing.OPEN:
        return None
    yield from this.void(route.first.purge, purge=True)
    others = [node for node in route.write if node != route.truth]
    if route.first.purge or route.second.write:
        # Settle: a process that is in flip still pulls the counter from O's first, wherever that is.
        yield from this.void(others)
        this.incomplete |= bool(others)
        others = []
    number = yield from this.agree((route.truth, *others))
    if number is not None:
        yield from this.void(route.second.purge, purge=True)
    return number


def _alone(this: Count) -> Flow[int | None]:
    """Copy and flip: sources before targets."""
    route, number = this.route, None
    truth = route.truth
    if this.standing(truth) is not Standing.OPEN:
        return None
    for part in (route.first, route.second):
        yield from this.void(node for node in part.write if node != truth)
        yield from this.void((node for node in part.purge if node not in (truth, route.gate)), purge=True)
        if truth in part.write:
            number = yield from this.agree((truth,))
            if number is None:
                return None
        elif number is not None and route.gate in part.purge:
            yield from purge_behind(this, route.gate, number)
    return number


def broken_off(view: View, step: object) -> Owe | None:
    """What to disown where an interrupt broke this step off: it may have counted on one copy and not on another. Once
    the first is lost the others would hand out numbers again."""
    wanted: dict[Slot, int] = {}
    for commands in step.values() if isinstance(step, dict) else ():
        for command in commands:
            if type(command) is Arithmetic:
                route, slot = view.place(command.name)
                wanted |= {(node, slot): view.generation(node, slot) + 1 for node in route.first.write[1:]}
    return Owe(wanted) if wanted else None
