"""The short cut for reads on an event loop: no flow where a key stands still and nothing is in doubt.

What it can't answer takes the flow. Writes always do: they must be brought to their end when their task is cancelled.
"""

from asyncio import Future, get_running_loop
from collections.abc import Iterable

from ..commands import Answer, Get, Value
from ..transport.breaker import State
from ..transport.pipeline import Answers
from . import budget
from .aio_flow import within_budget
from .aio_loop import runner_of
from .fleet import Fleet
from .plan import Known, TakeFlow, remember

Data = tuple[int, bytes]
"""Flags and data of a value."""


class Gathering:
    """The replies of several nodes."""

    __slots__ = ("replies", "all", "_missing")

    def __init__(self, nodes: int):
        self.replies: dict[str, Answers] = {}
        self.all: Future[None] = get_running_loop().create_future()
        self._missing = nodes

    def answered(self, node: str, replies: Answers) -> None:
        self.replies[node] = replies
        self._missing -= 1
        if not self._missing and not self.all.done():
            self.all.set_result(None)


async def get(fleet: Fleet, made_key: str) -> Data | None:
    """(flags, data), or None for a miss. Raises TakeFlow, InvalidKey."""
    runner = runner_of(fleet)
    view = fleet.view if fleet.clock() < fleet.renew_at else await runner.view()
    known: Known = view.known.get(made_key) or remember(fleet, view, made_key)
    spot = known.read
    if spot is None or spot.pool.breaker.state is not State.UP:
        raise TakeFlow
    gathering = Gathering(1)
    deadline, until = _deadlines(fleet, known.last)
    runner.transport.ask(spot.node, (Get(spot.key),), until, gathering.answered)
    await within_budget(gathering.all, fleet.clock)
    reply = gathering.replies[spot.node][0]
    if type(reply) is Value and reply.data is not None and not reply.stub:
        return reply.flags, reply.data
    if _missed(known, reply):
        return None
    raise TakeFlow(deadline)


async def get_many(fleet: Fleet, made_keys: Iterable[str]) -> tuple[dict[str, Data], list[str], float]:
    """What was found, the keys that need the flow, and until when. Raises InvalidKey, before anything is sent."""
    runner = runner_of(fleet)
    view = fleet.view if fleet.clock() < fleet.renew_at else await runner.view()
    asked: dict[str, list[tuple[str, Known]]] = {}
    commands: dict[str, list[Get]] = {}
    rest: list[str] = []
    last = True
    for made_key in made_keys:
        known: Known = view.known.get(made_key) or remember(fleet, view, made_key)
        spot = known.read
        if spot is None or spot.pool.breaker.state is not State.UP:
            rest.append(made_key)
            continue
        node = spot.node
        if node not in asked:
            asked[node], commands[node] = [], []
        asked[node].append((made_key, known))
        commands[node].append(Get(spot.key))
        last = last and known.last
    found: dict[str, Data] = {}
    deadline, until = _deadlines(fleet, last)
    if asked:
        gathering = Gathering(len(asked))
        for node, batch in commands.items():
            runner.transport.ask(node, batch, until, gathering.answered)
        await within_budget(gathering.all, fleet.clock)
    for node, pairs in asked.items():
        for (made_key, known), reply in zip(pairs, gathering.replies[node], strict=True):
            if type(reply) is Value and reply.data is not None and not reply.stub:
                found[made_key] = reply.flags, reply.data
            elif not _missed(known, reply):
                rest.append(made_key)
    return found, rest, deadline


def _deadlines(fleet: Fleet, last: bool) -> tuple[float, float]:
    """Of the operation, and of this part of it: half of the time is left to another copy, if there is one."""
    seconds = budget.allowance(fleet.options.timeout, fleet.options.request_budget)
    now = fleet.clock()
    return now + seconds, now + (seconds if last else seconds / 2)


def _missed(known: Known, reply: object) -> bool:
    """A stub is a miss too: somebody is loading."""
    return known.last and (reply is Answer.MISS or type(reply) is Value)
