"""Where a key is under one view, worked out once and remembered as long as the view holds."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from ..model import keys
from ..model.view import Standing, View
from ..transport import forks
from ..transport.breaker import State
from ..transport.connection import Connection
from ..transport.pool import TRUSTED_SECONDS, Pool
from .fleet import Fleet

KNOWN_KEYS = 8192
"""How many keys a view remembers the place of: about 4 MB."""
IDLE = 0.05
"""Seconds after which a connection is looked at before a write is trusted to it: its node may have closed it."""


class TakeFlow(Exception):
    """Not a case for the short cut. `deadline`: when the operation has to end, if a part of its time is used up."""

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline


class Spot(NamedTuple):
    """One copy of a key."""

    node: str
    pool: Pool
    key: bytes
    """The wire key."""
    remove: bytes
    """The command that deletes it and says nothing: the classic one takes a node a third less time."""


class Known(NamedTuple):
    """All that is to be known of one key under one view."""

    made_key: str
    name: bytes
    slot: int
    read: Spot | None
    """None: reading takes the flow."""
    last: bool
    """There is no other copy to ask: a miss is a miss."""
    write: tuple[Spot, ...]
    """Empty: writing takes the flow."""
    copies: tuple[Spot, ...]
    """What one key is read from, one after the other: `read`, and what follows."""
    whole: bool
    """There are no others: if all of these miss, it is a miss."""


def begin(fleet: Fleet) -> float:
    """The moment from which an operation has its time. Its view, proven, is taken after that: a process that stood
    still in between, and sent what others had stopped counting on, must find out by the clock."""
    forks.look()
    began = fleet.clock()
    if began >= fleet.renew_at:
        fleet.proven_view()
        began = fleet.clock()
    return began


def look_up(fleet: Fleet, made_key: str) -> Known:
    """Where `made_key` is, once the operation has begun. Raises InvalidKey."""
    view = fleet.view
    return view.known.get(made_key) or remember(fleet, view, made_key)


def look_up_many(fleet: Fleet, made_keys: Collection[str]) -> list[Known]:
    """The same for each of many, all under one view. Raises InvalidKey."""
    view = fleet.view
    places: list[Any] = list(map(view.known.get, made_keys))
    if all(places):
        return places
    return [known or remember(fleet, view, made_key) for known, made_key in zip(places, made_keys, strict=True)]


def remember(fleet: Fleet, view: View, made_key: str) -> Known:
    """Work it out, and keep it as long as the view holds. Raises InvalidKey."""
    if len(view.known) >= KNOWN_KEYS:
        view.known.clear()
    found = view.known[made_key] = _work_out(fleet, view, made_key)
    return found


def _work_out(fleet: Fleet, view: View, made_key: str) -> Known:
    name = view.name(made_key)
    route, slot = view.place(name)

    def spot(node: str) -> Spot | None:
        pool = fleet.transport.pool(node)
        if pool is None or view.standing(node, slot) is not Standing.OPEN:
            return None
        key = keys.wire_key(name, view.generation(node, slot))
        return Spot(node, pool, key, b"delete %b noreply\r\n" % key)

    order = view.read_order(route)
    spots = {node: spot(node) for node in {*order, *route.first.write}}
    # Where a read without a proof has to be a miss, only the flow's caller can tell.
    serves = fleet.options.on_unproven == "serve"
    copies = _leading(None if node in route.joining else spots[node] for node in order) if serves else ()
    simple = not (route.first.purge or route.joining or view.young(made_key))
    write = _leading(spots[node] for node in route.first.write) if simple else ()
    if len(write) < len(route.first.write):
        write = ()
    read, whole = (copies[0] if copies else None), 0 < len(copies) == len(order)
    return Known(made_key, name, slot, read, len(order) == 1, write, write if copies == write else copies, whole)


def _leading(spots: Iterable[Spot | None]) -> tuple[Spot, ...]:
    """Those before the first one that is missing."""
    found: list[Spot] = []
    for spot in spots:
        if spot is None:
            break
        found.append(spot)
    return tuple(found)


def take(pool: Pool, began: float, writes: bool = True) -> Connection:
    """An idle connection of a node that is well, for an operation that began now. Raises TakeFlow."""
    if pool.breaker.state is not State.UP:
        raise TakeFlow
    try:
        connection = pool.idle.pop()
    except IndexError:
        raise TakeFlow from None
    idle = began - connection.used_at
    if not connection.direct or idle > TRUSTED_SECONDS:
        pool.idle.append(connection)
        raise TakeFlow
    if writes and idle > IDLE and not connection.quiet():
        connection.close()
        raise TakeFlow
    connection.used_at = began
    return connection
