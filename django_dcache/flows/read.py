"""Get, get_many and has_key. Reads never write, except to fill a moving key's new copy."""

from collections import defaultdict
from collections.abc import Iterable

from ..commands import Get, Value, is_item
from ..errors import NodeFailure
from ..model.view import Place, Standing, View
from . import Brief, Flow
from .fill import fill


class Found(dict[bytes, Value]):
    """The values of the names that were found."""

    unanswered = 0
    """How many of the others are failures, not misses: none of their replicas gave an answer."""


def fetch(view: View, names: Iterable[bytes], value: bool = True, ttl: bool = False) -> Flow[Found]:
    """The value of each name that has one, with its TTL if `ttl`. One round; another for what a node missed or did not
    answer."""
    found = Found()
    pending = view.places(names)
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
            yield from _ask(view, pending, plain, rank, (value, ttl), found, silent, answered)
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
    wanted: tuple[bool, bool],
    found: dict[bytes, Value],
    silent: set[bytes],
    answered: set[bytes],
) -> Flow[None]:
    """Ask each node for its names; a name that any node answered for, if only with a miss, is no failure."""
    batches = {
        node: [Get(name, view.generation(node, places[name].slot), *wanted) for name in names]
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
            if is_item(reply):
                found[name] = reply
