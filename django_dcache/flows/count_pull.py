"""Flip: a counter moves from O's first to N's first, so that it can be counted there.

The source goes away only as the very item that was copied (by its token): a process one phase behind may be counting on
it still, and a number it handed out must not be handed out again.
"""

from ..commands import Answer, Value, is_copyable
from ..errors import NodeFailure
from . import Flow, Item, Pause
from .copies import Copies

PULLS = 20
PULL_WAIT = 0.002


def pull(copies: Copies) -> Flow[bool]:
    """Whether the counter is on N's first now; False if there is none."""
    source, target = copies.route.fill[0], copies.route.truth
    if len(copies.usable((source, target))) < 2:
        return False
    for attempt in range(PULLS):
        copy = yield from copies.ask(target, copies.get(target, lease=True))
        found = yield from copies.ask(source, copies.get(source, ttl=True, token=True))
        if isinstance(found, NodeFailure) or not isinstance(copy, Value):
            return False
        old = found if is_copyable(found) else None
        if copy.stub and not copy.won:
            if attempt == PULLS - 2:  # The holder of the lease died, or will find it void.
                yield from copies.ask(target, copies.remove(target, copy.token))
            yield Pause(PULL_WAIT)
        elif copy.won and old is None:
            yield from copies.ask(target, copies.remove(target, copy.token))
            return False
        elif old is None:
            return True
        elif copy.won:
            store = copies.store(target, Item(old.flags, old.data or b"", old.ttl), copy.token)
            stored = yield from copies.ask(target, store)
            if stored is Answer.DONE and (yield from _retire(copies, source, old, target)):
                return True
        elif copy.data != old.data:
            yield from copies.ask(target, copies.remove(target))
        elif (yield from _retire(copies, source, old, target)):
            return True
    return False


def _retire(copies: Copies, source: str, old: Value, target: str) -> Flow[bool]:
    """Delete the source's item if it is still the one that was copied; else take the copy back."""
    if (yield from copies.ask(source, copies.remove(source, old.token))) is Answer.DONE:
        return True
    yield from copies.ask(target, copies.remove(target))
    return False
