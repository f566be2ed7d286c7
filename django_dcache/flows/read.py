"""Get, get_many, has_key, and get_or_set. Reads never write, except to fill a moving key's new copy."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from ..commands import Command, Get, Remove, Store, Token, Value
from ..errors import NodeFailure, NoReplica
from ..model.view import Place, Standing, View
from . import Brief, Flow, Item, Load, Pause
from .consensus import bump
from .fill import fill

LEASE_WAIT = 0.01
LEASE_PATIENCE = 8
"""How often a caller looks again while somebody else loads the same missing key, before it loads for itself."""


class Found(dict[bytes, Value]):
    """The values of the names that were found."""

    unanswered = 0
    """How many of the others are failures, not misses: none of their replicas gave an answer."""


def fetch(view: View, names: Iterable[bytes], value: bool = True) -> Flow[Found]:
    """The value of each name that has one. One round; another for what a node missed or did not answer."""
    found = Found()
    pending = {name: view.place(name) for name in names}
    silent: set[bytes] = set()
    answered: set[bytes] = set()
    rank = 0
    while pending:
        plain: dict[str, list[bytes]] = defaultdict(list)
        joining: dict[str, dict[bytes, Place]] = defaultdict(dict)
        for name, place in list(pending.items()):
            route, slot = place
            order = view.read_order(route)
            if rank >= len(order):
                del pending[name]
                continue
            node = order[rank]
            if node in route.joining and route.fill:
                joining[node][name] = place
            elif view.standing(node, slot) in (Standing.OPEN, Standing.CLOSED):
                plain[node].append(name)
        if plain:
            yield from _ask(view, pending, plain, rank, value, found, silent, answered)
        for target, places in joining.items():
            filled = yield from fill(view, places, target)
            found |= filled
            silent.update(filled.silent)
        for name in found:
            pending.pop(name, None)
        rank += 1
    found.unanswered = len(silent - answered - found.keys())
    return found


def _ask(
    view: View,
    places: dict[bytes, Place],
    plan: dict[str, list[bytes]],
    rank: int,
    value: bool,
    found: dict[bytes, Value],
    silent: set[bytes],
    answered: set[bytes],
) -> Flow[None]:
    """Ask each node for its names; a name that any node answered for, if only with a miss, is no failure."""
    batches = {
        node: [Get(name, view.generation(node, places[name].slot), value) for name in names]
        for node, names in plan.items()
    }
    more = any(len(places[name].route.read) > rank + 1 for names in plan.values() for name in names)
    replies = yield Brief(batches) if more else batches
    for node, names in plan.items():
        for name, reply in zip(names, replies[node], strict=True):
            if isinstance(reply, NodeFailure):
                silent.add(name)
                continue
            answered.add(name)
            if isinstance(reply, Value) and not reply.stub:
                found[name] = reply


def fetch_or_load(view: View, name: bytes, load: Callable[[], Item | None]) -> Flow[Value | None]:
    """The value, or None after `load` ran and what it returned was stored, unless something newer came first.

    A lease on every copy is taken before the loader runs: whatever is written or deleted meanwhile voids its token,
    so a slow loader never overwrites a newer value. `load` may return None: nothing is stored. Raises NoReplica, before
    anything is loaded, if no replica answered.
    """
    for _ in range(LEASE_PATIENCE):
        found = yield from fetch(view, [name])
        if name in found:
            return found[name]
        if found.unanswered:
            raise NoReplica(epoch=view.epoch)
        tokens, taken = yield from _lease(view, name)
        if not taken:
            break
        yield Pause(LEASE_WAIT)
    else:
        tokens = {}
    placement = view.placement
    try:
        item, view = yield Load(load)
    except GeneratorExit:
        raise  # Nobody carries our rounds any more: the stubs run out by themselves.
    except BaseException:
        yield from _release(view, name, tokens)
        raise
    if item is None or view.placement is not placement:
        # The copies may be elsewhere by now; a lease taken under the older epoch says nothing about them.
        yield from _release(view, name, tokens)
        return None
    slot = view.place(name).slot
    stores = {
        node: [Store(name, view.generation(node, slot), item.data, item.flags, item.ttl, token=token)]
        for node, token in tokens.items()
        if view.standing(node, slot) is Standing.OPEN
    }
    replies = (yield stores) if stores else {}
    lost = {(n, slot) for n, (reply,) in replies.items() if isinstance(reply, NodeFailure) and reply.sent}
    if lost:
        yield from bump(view, lost)
    return None


def _lease(view: View, name: bytes) -> Flow[tuple[dict[str, Token], bool]]:
    """A token of every copy; and whether somebody else has one of them already."""
    route, slot = view.place(name)
    if route.joining or route.first.purge:
        return {}, False  # While the key is moving, only the move may fill it.
    nodes = [node for node in route.write if view.standing(node, slot) is Standing.OPEN]
    if not nodes:
        return {}, False
    replies = yield {node: [Get(name, view.generation(node, slot), lease=True)] for node in nodes}
    tokens: dict[str, Token] = {}
    for node, (reply,) in replies.items():
        if isinstance(reply, Value) and reply.won and reply.token:
            tokens[node] = reply.token
        elif isinstance(reply, Value):
            yield from _release(view, name, tokens)
            return {}, True
    return tokens, False


def _release(view: View, name: bytes, tokens: dict[str, Token]) -> Flow[None]:
    if tokens:
        slot = view.place(name).slot
        batches: dict[str, list[Command]] = {
            node: [Remove(name, view.generation(node, slot), token)] for node, token in tokens.items()
        }
        yield batches
