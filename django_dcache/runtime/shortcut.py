"""One key read in two system calls a copy: the first rounds of its flow, carried without the flow.

The short cut decides nothing. It recognises the plain outcome of an operation and nothing else: with any other it
raises NeedsFlow, which hands over what was sent and what has come back, and the flow takes that as the answer to its
rounds. So no node is asked twice, and what a failure becomes is written in the flow alone.
"""

from collections.abc import Mapping, Sequence
from socket import MSG_WAITALL

from ..model.stamps import StampedName
from ..transport import forks
from ..transport.batch import Sent
from ..transport.breaker import State
from ..transport.connection import Connection
from ..transport.forks import own
from ..transport.pool import TRUSTED_SECONDS, Pool
from .deadline import Account, account, asgi_request, current
from .fleet import Carried, Fleet
from .plans import Plans

FIRST_CHUNK = 4096
IDLE_SECONDS = 0.05
"""A connection that was idle for longer is looked at before a write is trusted to it: its node may have closed it."""
SLOW_PART = 4
"""Once this part of the timeout has passed, the next copy is asked by the flow, which looks at the clock."""
UP = State.UP

Rounds = Sequence[Mapping[str, Sent]]


class NeedsFlow(Exception):
    """Not plain. `carried`: the rounds of the flow that were; None if there are none, so that it begins anew."""

    def __init__(self, carried: Carried | None = None):
        self.carried = carried


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
            raise NeedsFlow
    charged = current.get() or (account() if asgi_request.get(None) else None)
    if charged is not None and charged.spent > fleet.spare_seconds:
        raise NeedsFlow  # What has less than the usual time needs a look at the clock all the time.
    return began, charged, fleet.plans


def idle(pool: Pool, began: float, writes: bool = True) -> Connection | None:
    """An idle connection to a node that is well, if there is one, for an operation that began now.

    One that came back with what it held before is not well (flows/returned.py). Where replies have no number, what
    waits there would be taken for the answer, so each connection is looked at.
    """
    if pool.breaker.state is not UP or pool.returned:
        return None
    try:
        connection = pool.idle.pop()
    except IndexError:
        return None
    idle_for = began - connection.used_at
    if not connection.direct or idle_for > TRUSTED_SECONDS:
        pool.idle.append(connection)
        return None
    if (writes and idle_for > IDLE_SECONDS or not pool.engine.numbered) and not connection.quiet():
        connection.close()
        return None
    connection.used_at = began
    return connection


def give_back(rounds: Rounds) -> None:
    """Every reply is complete: the connections can serve others."""
    for round_ in rounds:
        for sent in round_.values():
            sent.pool.idle.append(sent.connection)


def _outdated(name: bytes, flags: int) -> bool:
    return isinstance(name, StampedName) and name.outdated(flags)


def _joined(data: bytes, start: int, stop: int, rest: bytes) -> bytes | None:
    """The value that began in `data`; None if it is not whole. It is copied once: memory takes a large value's time."""
    if len(data) + len(rest) != stop + 2 or not rest.endswith(b"\r\n"):
        return None  # Also where its end is cut, which the flow puts together.
    return b"".join((memoryview(data)[start:], memoryview(rest)[:-2]))


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
            stream.send(fleet.hot.get((name if copy.generations is None else copy.key(name, slot), opaque)))
            data = stream.recv(FIRST_CHUNK)
            if value := fleet.hot.found(data, opaque):
                flags, start, stop = value
                if len(data) < stop + 2 <= fleet.transport.limits.most_bytes:
                    rest = stream.recv(stop + 2 - len(data), MSG_WAITALL)
                    body = _joined(data, start, stop, rest)
                else:
                    rest, body = b"", data[start:stop] if data[stop:] == b"\r\n" else None
                if body is not None and (plan.single or not _outdated(name, flags)):
                    pool.idle.append(connection)
                    if not plan.single:
                        pool.answered(fleet.clock() - at)
                        give_back(rounds)
                    if charged is not None:
                        charged.spent += fleet.clock() - began
                    return flags, body
                data += rest
        except OSError:
            pass  # Out of time, or closed by the node: the flow finds the same.
        missed = fleet.hot.missed(data, opaque)
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
    raise NeedsFlow(Carried(plans.view, began, rounds) if rounds else None)
