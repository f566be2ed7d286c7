"""One key written in two system calls a copy, as `shortcut` reads it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..transport.batch import Sent
from ..transport.connection import Connection
from .deadline import Account
from .fleet import Carried, Fleet
from .plans import CopyPlan, Plans
from .shortcut import FIRST_CHUNK, NeedsFlow, begin, idle

Readable = Callable[[str, int, bytes], bool]
"""Whether these flags and bytes, under a made key, can be decoded."""
Reply = TypeVar("Reply", bool, int)


def store(fleet: Fleet, made_key: str, flags: int, data: bytes, ttl: float | None) -> None:
    """Store a value on every copy. Raises NeedsFlow."""
    hot, expires = fleet.hot, fleet.hot.expires(ttl)
    _write(fleet, made_key, lambda key, opaque: hot.store((key, len(data), flags, expires, opaque, data)), hot.stored)


def add(fleet: Fleet, made_key: str, flags: int, data: bytes, ttl: float | None, readable: Readable) -> bool:
    """Whether it was absent, and is stored now; what is not `readable` is as good as absent. Raises NeedsFlow."""
    hot, size, expires = fleet.hot, len(data), fleet.hot.expires(ttl)

    def added(data: bytes, opaque: int) -> bool | None:
        if hot.added(data, opaque):
            return True
        there = hot.found(data, opaque)
        if there is None:
            return None
        flags, start, stop = there
        return False if hot.kept(data[stop:], opaque) and readable(made_key, flags, data[start:stop]) else None

    return _write(
        fleet,
        made_key,
        lambda key, opaque: hot.add((key, opaque, key, size, flags, expires, opaque + 1, data)),
        added,
        one_copy=True,
        numbers=2,
    )


def remove(fleet: Fleet, made_key: str) -> bool:
    """Whether there was something to delete. Raises NeedsFlow."""
    return _write(fleet, made_key, fleet.hot.remove, fleet.hot.removed)


def touch(fleet: Fleet, made_key: str, ttl: float | None) -> bool:
    """Whether there was something that has this TTL now. Raises NeedsFlow."""
    hot, expires = fleet.hot, fleet.hot.expires(ttl)
    return _write(fleet, made_key, lambda key, opaque: hot.touch((key, expires, opaque)), hot.touched)


def count(fleet: Fleet, made_key: str, delta: int) -> int | None:
    """The new number, or None if there is none; `delta` is from 0 to 2^64 - 1. Raises NeedsFlow."""

    def counted(data: bytes, opaque: int) -> int | bool | None:
        number = fleet.hot.counted(data, opaque)
        return None if type(number) is int and number < delta else number  # The node counts on from 0.

    number = _write(fleet, made_key, lambda key, opaque: fleet.hot.count((key, delta, opaque)), counted, one_copy=True)
    return None if number is False else number


def _write(
    fleet: Fleet,
    made_key: str,
    question: Callable[[bytes, int], bytes],
    answer: Callable[[bytes, int], Reply | None],
    one_copy: bool = False,
    numbers: int = 1,
) -> Reply:
    """What the copies answered; of several the greatest. Raises NeedsFlow unless all of it is plain.

    `one_copy`: several take the flow. `numbers`: how many opaque numbers a question to a single copy takes.
    """
    began, charged, plans = begin(fleet)
    name, slot, plan = plans.place(made_key)
    copy = plan.written
    if copy is None:
        if one_copy or not plan.write:
            raise NeedsFlow
        return _write_each(fleet, began, charged, plans, name, slot, plan.write, question, answer)
    connection = idle(copy.pool, began)
    if connection is None:
        raise NeedsFlow
    opaque = connection.opaque
    connection.opaque = opaque + numbers
    request = question(name if copy.generations is None else copy.key(name, slot), opaque)
    taken, data = 0, b""
    try:
        stream = connection.socket
        taken = stream.send(request)
        if taken == len(request):
            data = stream.recv(FIRST_CHUNK)
    except OSError:
        pass
    reply = answer(data, opaque)
    lasted = fleet.clock() - began
    if reply is None or lasted > fleet.options.timeout:  # What is late is a case for the flow.
        sent = Sent(copy.pool, connection, opaque, began, request[taken:], data)
        raise NeedsFlow(Carried(plans.view, began, [{copy.node: sent}]))
    copy.pool.idle.append(connection)
    if charged is not None:
        charged.spent += lasted
    return reply


def _write_each(
    fleet: Fleet,
    began: float,
    charged: Account | None,
    plans: Plans,
    name: bytes,
    slot: int,
    copies: Sequence[CopyPlan],
    question: Callable[[bytes, int], bytes],
    answer: Callable[[bytes, int], Reply | None],
) -> Reply:
    """The same for several copies, which are written at once."""
    connections = _connect(copies, began)
    unsent: dict[str, bytes] = {}
    for copy, connection in zip(copies, connections, strict=True):
        opaque = connection.opaque
        connection.opaque = opaque + 1
        request = question(name if copy.generations is None else copy.key(name, slot), opaque)
        try:
            taken = connection.socket.send(request)
        except OSError:
            taken = 0
        if taken < len(request):
            unsent[copy.node] = request[taken:]
    replies: list[Reply] = []
    received: list[bytes] = []
    # The last one first: by the time it has answered the others have too, and this process was not woken for them.
    for connection in reversed(connections) if not unsent else ():
        try:
            data = connection.socket.recv(FIRST_CHUNK)
        except OSError:
            data = b""
        received.append(data)
        reply = answer(data, connection.opaque - 1)
        if reply is None:
            break
        replies.append(reply)
    lasted = fleet.clock() - began
    if len(replies) == len(connections) and lasted <= fleet.options.timeout:  # What is late is a case for the flow.
        for copy, connection in zip(copies, connections, strict=True):
            copy.pool.idle.append(connection)
        if charged is not None:
            charged.spent += lasted
        return max(replies)
    received += [b""] * (len(connections) - len(received))
    by_node = {
        copy.node: Sent(copy.pool, connection, connection.opaque - 1, began, unsent.get(copy.node, b""), data)
        for copy, connection, data in zip(copies, connections, reversed(received), strict=True)
    }
    raise NeedsFlow(Carried(plans.view, began, [by_node]))


def _connect(copies: Sequence[CopyPlan], began: float) -> list[Connection]:
    """An idle connection for each copy. Raises NeedsFlow."""
    connections: list[Connection] = []
    for copy in copies:
        connection = idle(copy.pool, began)
        if connection is None:
            for earlier, other in zip(copies, connections, strict=False):
                earlier.pool.idle.append(other)
            raise NeedsFlow
        connections.append(connection)
    return connections
