"""One key in two system calls a copy: the first rounds of its flow, carried without the flow.

The short cut decides nothing. It recognises the plain outcome of an operation and nothing else: with any other it
raises NeedsFlow, which hands over what was sent and what has come back, and the flow takes that as the answer to its
rounds. So no node is asked twice, and what a failure becomes is written in the flow alone.
"""

from collections.abc import Callable, Mapping, Sequence
from socket import MSG_WAITALL
from typing import TypeVar

from ..engines import hot
from ..model.stamps import StampedName
from ..transport import forks
from ..transport.batch import Sent
from ..transport.breaker import State
from ..transport.connection import Connection
from ..transport.forks import own
from ..transport.pool import TRUSTED_SECONDS, Pool
from .deadline import Account, account, asgi_request, current
from .fleet import Fleet
from .plans import CopyPlan, Plans
from .speed import found

FIRST_CHUNK = 4096
IDLE_SECONDS = 0.05
"""A connection that was idle for longer is looked at before a write is trusted to it: its node may have closed it."""
SLOW_PART = 4
"""Once this part of the timeout has passed, the next copy is asked by the flow, which looks at the clock."""
UP = State.UP

Rounds = Sequence[Mapping[str, Sent]]
Readable = Callable[[str, int, bytes], bool]
"""Whether these flags and bytes, under a made key, can be decoded."""
Reply = TypeVar("Reply", bool, int)


class NeedsFlow(Exception):
    """Not plain. `rounds`: those of the flow that were carried already.
    `began`: when the operation did; None if there are no rounds, so that it begins anew."""

    def __init__(self, began: float, rounds: Rounds = ()):
        self.began, self.rounds = (began if rounds else None), rounds


def begin(fleet: Fleet) -> tuple[float, Account | None, Plans]:
    """(moment, account of the request, plans). Raises NeedsFlow.

    The moment comes before the plans are looked at: a process that stands still in between, and sends what others have
    stopped counting on, finds out by the clock.
    """
    if not own[0]:
        forks.look()
    began = fleet.clock()
    if began >= fleet.plain_until:
        began = fleet.begin()
        if began >= fleet.plain_until:
            raise NeedsFlow(began)
    charged = current.get() or (account() if asgi_request.get(None) else None)
    if charged is not None and charged.spent > fleet.spare_seconds:
        raise NeedsFlow(began)  # What has less than the usual time needs a look at the clock all the time.
    return began, charged, fleet.plans


def idle(pool: Pool, began: float, writes: bool = True) -> Connection | None:
    """An idle connection to a node that is well, if there is one, for an operation that began now."""
    if pool.breaker.state is not UP:
        return None
    try:
        connection = pool.idle.pop()
    except IndexError:
        return None
    idle_for = began - connection.used_at
    if not connection.direct or idle_for > TRUSTED_SECONDS:
        pool.idle.append(connection)
        return None
    if writes and idle_for > IDLE_SECONDS and not connection.quiet():
        connection.close()
        return None
    connection.used_at = began
    return connection


def give_back(rounds: Rounds) -> None:
    """Every reply is complete: the connections can serve others."""
    for round_ in rounds:
        for sent in round_.values():
            sent.pool.idle.append(sent.connection)


# Reading


def _outdated(name: bytes, flags: int) -> bool:
    return isinstance(name, StampedName) and name.outdated(flags)


def get(fleet: Fleet, made_key: str, loads: bool = False) -> tuple[int, bytes] | None:
    """(flags, data), or None for a miss of every copy. Raises NeedsFlow; also for a miss, if the flow `loads` it."""
    began, charged, plans = begin(fleet)
    name, slot, plan = plans.place(made_key)
    at = began
    rounds: list[Mapping[str, Sent]] = []
    for copy in plan.read:
        pool = copy.pool
        connection = idle(pool, at, writes=False)
        if connection is None:
            break
        opaque = connection.opaque
        connection.opaque = opaque + 1
        data = b""
        try:
            stream = connection.socket
            stream.send(hot.get((name if copy.generations is None else copy.key(name, slot), opaque)))
            data = stream.recv(FIRST_CHUNK)
            value = found(data, opaque)
            if value:
                flags, start, stop = value
                if len(data) < stop + 2 <= fleet.transport.limits.most_bytes:
                    data += stream.recv(stop + 2 - len(data), MSG_WAITALL)
                if data[stop:] == b"\r\n" and (plan.single or not _outdated(name, flags)):
                    pool.idle.append(connection)
                    if not plan.single:
                        pool.answered(fleet.clock() - at)
                        give_back(rounds)
                    if charged is not None:
                        charged.spent += fleet.clock() - began
                    return flags, data[start:stop]
        except OSError:
            pass  # Out of time, or closed by the node: the flow finds the same.
        missed = hot.missed(data, opaque)
        if missed and plan.single and not loads:
            pool.idle.append(connection)
            if charged is not None:
                charged.spent += fleet.clock() - began
            return None
        rounds.append({copy.node: Sent(pool, connection, opaque, at, received=data)})
        at = fleet.clock()
        if not missed or at - began > fleet.options.timeout / SLOW_PART:
            break
    else:
        if plan.complete and not loads:
            give_back(rounds)
            if charged is not None:
                charged.spent += at - began
            return None
    raise NeedsFlow(began, rounds)


# Writing


def store(fleet: Fleet, made_key: str, flags: int, data: bytes, ttl: float | None) -> None:
    """Store a value on every copy. Raises NeedsFlow."""
    size, expires = len(data), hot.expires(ttl)
    _write(fleet, made_key, lambda key, opaque: hot.store((key, size, flags, expires, opaque, data)), hot.done)


def add(fleet: Fleet, made_key: str, flags: int, data: bytes, ttl: float | None, readable: Readable) -> bool:
    """Whether it was absent, and is stored now; what is not `readable` is as good as absent. Raises NeedsFlow."""
    size, expires = len(data), hot.expires(ttl)

    def added(data: bytes, opaque: int) -> bool | None:
        answer = hot.added(data, opaque)
        if answer is None:
            return None
        stored, flags, there = answer
        return True if stored else False if readable(made_key, flags, there) else None

    return _write(
        fleet,
        made_key,
        lambda key, opaque: hot.add((key, size, flags, expires, opaque, data, key, opaque + 1)),
        added,
        one_copy=True,
        numbers=2,
    )


def remove(fleet: Fleet, made_key: str) -> bool:
    """Whether there was something to delete. Raises NeedsFlow."""
    return _write(fleet, made_key, hot.remove, hot.done)


def touch(fleet: Fleet, made_key: str, ttl: float | None) -> bool:
    """Whether there was something that has this TTL now. Raises NeedsFlow."""
    expires = hot.expires(ttl)
    return _write(fleet, made_key, lambda key, opaque: hot.touch((key, expires, opaque)), hot.done)


def count(fleet: Fleet, made_key: str, delta: int) -> int | None:
    """The new number, or None if there is none; `delta` is from 0 to 2^64 - 1. Raises NeedsFlow."""

    def counted(data: bytes, opaque: int) -> int | bool | None:
        number = hot.counted(data, opaque)
        return None if number and number < delta else number  # The node counts on from 0.

    number = _write(fleet, made_key, lambda key, opaque: hot.count((key, delta, opaque)), counted, one_copy=True)
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
            raise NeedsFlow(began)
        return _write_each(fleet, began, charged, name, slot, plan.write, question, answer)
    connection = idle(copy.pool, began)
    if connection is None:
        raise NeedsFlow(began)
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
        raise NeedsFlow(began, [{copy.node: Sent(copy.pool, connection, opaque, began, request[taken:], data)}])
    copy.pool.idle.append(connection)
    if charged is not None:
        charged.spent += lasted
    return reply


def _write_each(
    fleet: Fleet,
    began: float,
    charged: Account | None,
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
    sent = {
        copy.node: Sent(copy.pool, connection, connection.opaque - 1, began, unsent.get(copy.node, b""), data)
        for copy, connection, data in zip(copies, connections, reversed(received), strict=True)
    }
    raise NeedsFlow(began, [sent])


def _connect(copies: Sequence[CopyPlan], began: float) -> list[Connection]:
    """An idle connection for each copy. Raises NeedsFlow."""
    connections: list[Connection] = []
    for copy in copies:
        connection = idle(copy.pool, began)
        if connection is None:
            for earlier, other in zip(copies, connections, strict=False):
                earlier.pool.idle.append(other)
            raise NeedsFlow(began)
        connections.append(connection)
    return connections
