"""Flip: a counter moves from O's first to N's first, so that it can be counted there; and what a process that is in
copy still does about it.

The source goes away only as the very item that was copied (by its token): a process one phase behind may be counting on
it still, and a number it handed out must not be handed out again.
"""

from ..commands import Answer, Refused, Value, is_copyable
from ..errors import NodeFailure, NoReplica, NotServed
from ..model.view import Standing
from . import Flow, Item, Pause
from .copies import Copies
from .count_agree import Count, number_in

PULLS = 20
PULL_WAIT = 0.002


def pull(copies: Copies) -> Flow[bool]:
    """Whether the counter is on N's first now; False if there is none. Raises NoReplica where that can't be told."""
    source, target = copies.route.fill[0], copies.route.truth
    if len(copies.usable((source, target))) < 2:
        return False
    for attempt in range(PULLS):
        copy = yield from copies.ask(target, copies.get(target, lease=True))
        found = yield from copies.ask(source, copies.get(source, ttl=True, token=True))
        if isinstance(found, NodeFailure | Refused) or not isinstance(copy, Value):
            break
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
        elif not copy.won and copy.data != old.data:
            yield from copies.ask(target, copies.remove(target, copy.token))
        else:
            if copy.won:
                store = copies.store(target, Item(old.flags, old.data or b"", old.ttl), copy.token)
                if (yield from copies.ask(target, store)) is not Answer.DONE:
                    continue
            # Where the source is not what was copied any more, another process has counted there, or pulled it too: it
            # may have counted on the target already. So nothing is deleted there that was not looked at again.
            if (yield from copies.ask(source, copies.remove(source, old.token))) is Answer.DONE:
                return True
    raise NoReplica(epoch=copies.view.epoch)


def purge_behind(count: Count, node: str, number: int) -> Flow[None]:
    """Copy: once the source has counted, delete what a reader may have filled before. What has come as far as `number`
    was pulled since, and is the counter; or it was filled before others changed the source, who delete it."""
    if count.standing(node) not in (Standing.OPEN, Standing.CLOSED):
        return
    for _ in range(PULLS):
        found = yield from count.ask(node, count.get(node, token=True))
        if found is Answer.MISS or isinstance(found, NotServed):
            return
        if not isinstance(found, Value):
            break
        there = number_in(found)
        if there is not None and count.ahead(there, number) >= 0:
            return
        reply = yield from count.ask(node, count.remove(node, found.token))
        if reply is Answer.DONE or reply is Answer.MISS:
            return
        if reply is not Answer.CONFLICT:
            break
    yield from count.give_up({node})
