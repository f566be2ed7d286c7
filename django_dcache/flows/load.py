"""get_or_set: one caller loads what is missing, the others wait for it, and nothing newer is ever overwritten.

The right to store is a lease on each copy, taken before the loader runs: whatever is written or deleted meanwhile voids
it. The caller that leased the first copy loads. The others wait, and then load too: that caller may have died. They
have its token, which is as good in their hands: of two that store by one token the second finds it void.
"""

from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from typing import NamedTuple

from ..commands import Answer, Command, Token, Value, is_item
from ..errors import NodeFailure, NoReplica
from ..model.view import View
from . import Flow, Item, Load, Wait
from .add import add
from .copies import Copies
from .read import fetch
from .write import Batches, Outcome

FIRST_WAIT, LONGEST_WAIT = 0.005, 0.05
"""Seconds until a caller looks again; each time twice as long."""


class _Lease(NamedTuple):
    """What a caller has of a missing key."""

    tokens: Mapping[str, Token] = {}
    """Of the stub on each copy."""
    own: Mapping[str, Token] = {}
    """Of the stubs that are this caller's."""
    found: Value | None = None
    """It is not missing any more."""
    busy: bool = False
    """Another caller loads it."""
    silent: Container[str] = ()
    """The nodes that did not answer: the next copy decides in their place."""


def fetch_or_load(
    view: View, name: bytes, load: Callable[[], Item | None], wait_seconds: float = 0.0
) -> Flow[Value | None]:
    """The value, or None after `load` ran and what it returned was stored, unless something newer came first.

    `load` may return None: nothing is stored. `wait_seconds`: the most to wait for another caller that loads. Raises
    NoReplica, before anything is loaded, if no replica answered.
    """
    found = yield from fetch(view, [name])
    if name in found:
        return found[name]
    if found.unanswered:
        raise NoReplica(epoch=view.epoch)
    if view.coexists:
        yield from _load_without_lease(view, name, load)
        return None
    until, pause = view.clock() + wait_seconds, FIRST_WAIT
    while True:
        lease = yield from _lease(view, name)
        if lease.found is not None:
            yield from _release(view, name, lease.own)
            return lease.found
        if not lease.busy or view.clock() + pause > until:
            break
        newer = yield Wait(pause)
        if newer is None:
            break  # The request has no time left.
        view, pause = newer, min(2 * pause, LONGEST_WAIT)
    try:
        item, view = yield Load(load)
    except GeneratorExit:
        raise  # Our rounds are carried no more: others take the stubs over.
    except BaseException:
        yield from _release(view, name, lease.own)
        raise
    if item is None:
        yield from _release(view, name, lease.own)
    else:
        yield from _store(view, name, item, lease)
    return None


def _load_without_lease(view: View, name: bytes, load: Callable[[], Item | None]) -> Flow[None]:
    """As Django's other backends do: a classic client would read the stub of a lease as a value. What another caller
    stored meanwhile stays."""
    item, view = yield Load(load)
    if item is not None:
        with suppress(NoReplica):
            yield from add(view, name, item)


def reload(view: View, name: bytes, seen: bytes | None, load: Callable[[], Item | None]) -> Flow[None]:
    """Run `load`, and store what it returns where the item with these bytes still is: by the token of just that item,
    seen before, so that whatever is written or deleted meanwhile voids it. If it is there no more nothing is loaded."""
    copies = Copies(view, name)
    nodes = _deciding(copies)
    replies = (yield {node: [copies.get(node, token=True)] for node in nodes}) if nodes else {}
    there = {node: reply for node, (reply,) in replies.items() if is_item(reply) and reply.data == seen}
    tokens = {node: reply.token for node, reply in there.items() if reply.token}
    silent = {node for node, (reply,) in replies.items() if isinstance(reply, NodeFailure)}
    if not tokens:
        return
    item, view = yield Load(load)
    if item is not None:
        yield from _store(view, name, item, _Lease(tokens, silent=silent))


def _deciding(copies: Copies) -> list[str]:
    """The nodes that are leased and filled, the one that decides first. Copy and flip: it is the only one."""
    route = copies.route
    order = sorted(route.write, key=lambda node: node != route.truth) if route.truth else route.write
    usable = copies.usable(order[:1] if route.fill else order)
    return [] if route.truth and usable[:1] != [route.truth] else usable


def _lease(view: View, name: bytes) -> Flow[_Lease]:
    copies = Copies(view, name)
    nodes = _deciding(copies)
    if not nodes:
        return _Lease()
    replies = yield {node: [copies.get(node, lease=True)] for node in nodes}
    there = {node: reply for node, (reply,) in replies.items() if isinstance(reply, Value)}
    stubs = {node: reply for node in nodes if (reply := there.get(node)) and reply.stub}
    return _Lease(
        {node: reply.token for node, reply in stubs.items() if reply.token},
        {node: reply.token for node, reply in stubs.items() if reply.token and reply.won},
        next((there[node] for node in nodes if node in there and node not in stubs), None),
        next((not reply.won for reply in stubs.values()), False),
        {node for node, (reply,) in replies.items() if isinstance(reply, NodeFailure)},
    )


def _release(view: View, name: bytes, own: Mapping[str, Token]) -> Flow[None]:
    copies = Copies(view, name)
    drops: dict[str, list[Command]] = {node: [copies.remove(node, token)] for node, token in own.items()}
    if drops:
        yield drops


def _store(view: View, name: bytes, item: Item, lease: _Lease) -> Flow[None]:
    """As a write, sources before targets, but by the tokens: a copy after the other, until one is void."""
    copies = Copies(view, name)
    route, tokens = copies.route, lease.tokens
    nodes = [node for node in _deciding(copies) if node not in lease.silent]
    if not nodes or nodes[0] not in tokens or (route.truth and nodes[0] != route.truth):
        return  # The key lives elsewhere by now, or under another generation, or the copy that decides is silent.
    for part in (route.first, route.second):
        batches = Batches(view)
        for node in part.purge:
            batches.add(name, node, copies.place, None, purge=True)
        if route.fill:  # A counter is counted on one copy only (count.py).
            for node in part.write:
                if node not in nodes:
                    batches.add(name, node, copies.place, None)
        yield from batches.carry({name: Outcome()})
        for node in nodes:
            if node not in part.write or node not in tokens:
                continue
            reply = yield from copies.ask(node, copies.store(node, item, tokens[node]))
            if isinstance(reply, NodeFailure) and reply.sent:
                yield from copies.disown((node,))
            if reply is not Answer.DONE:
                return
