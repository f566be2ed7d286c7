"""The short cut for reads on an event loop: the first round of the flow, without the flow where its outcome is plain.

As in `shortcut`, what is not plain is handed over with the replies that came. Writes always take the flow: they must be
brought to their end when their task is cancelled.
"""

from asyncio import Future, get_running_loop
from collections.abc import Collection, Mapping, Sequence

from ..commands import Answer, Get, Value
from ..flows import Brief
from ..model.stamps import StampedName
from ..transport import forks
from ..transport.breaker import State
from ..transport.pipeline import Answers
from .aio_flow import within_budget
from .aio_loop import Runner, runner_of
from .fleet import Carried, Fleet
from .plans import CopyPlan

Data = tuple[int, bytes]
"""Flags and data of a value."""
Replies = Mapping[str, Answers]


class AsyncNeedsFlow(Exception):
    """Not plain. `carried`: as in `NeedsFlow`."""

    def __init__(self, carried: Carried | None = None):
        self.carried = carried


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


async def get(fleet: Fleet, made_key: str, loads: bool = False) -> Data | None:
    """(flags, data), or None for a miss. Raises AsyncNeedsFlow; also for a miss, if the flow `loads` it."""
    runner = runner_of(fleet)
    began = await _begin(runner)
    plans = fleet.plans
    name, slot, plan = plans.place(made_key)
    if not plan.read or isinstance(name, StampedName):
        raise AsyncNeedsFlow
    copy = plan.read[0]
    replies = await _ask(runner, began, {_well(copy): [_question(copy, name, slot)]}, plan.single)
    reply = replies[copy.node][0]
    if type(reply) is Value and reply.data is not None and not reply.stub:
        return reply.flags, reply.data
    if plan.single and not loads and _missed(reply):
        return None
    raise AsyncNeedsFlow(Carried(plans.view, began, [replies]))


async def get_many(fleet: Fleet, made_keys: Collection[str]) -> dict[str, Data]:
    """(flags, data) of what was found. Raises AsyncNeedsFlow."""
    runner = runner_of(fleet)
    began = await _begin(runner)
    plans, single = fleet.plans, True
    commands: dict[str, list[Get]] = {}
    wanted: dict[str, list[str]] = {}
    for made_key in made_keys:
        name, slot, plan = plans.place(made_key)
        if not plan.read or isinstance(name, StampedName):
            raise AsyncNeedsFlow
        copy = plan.read[0]
        single = single and plan.single
        if copy.node not in commands:
            commands[_well(copy)], wanted[copy.node] = [], []
        commands[copy.node].append(_question(copy, name, slot))
        wanted[copy.node].append(made_key)
    replies = await _ask(runner, began, commands, single)
    found: dict[str, Data] = {}
    for node, keys in wanted.items():
        for made_key, reply in zip(keys, replies[node], strict=True):
            if type(reply) is Value and reply.data is not None and not reply.stub:
                found[made_key] = reply.flags, reply.data
            elif not (single and _missed(reply)):
                raise AsyncNeedsFlow(Carried(plans.view, began, [replies]))
    return found


async def _begin(runner: Runner) -> float:
    """The moment of the operation, before its plans are looked at. Raises AsyncNeedsFlow."""
    forks.look()
    fleet = runner.fleet
    began = fleet.clock()
    if began >= fleet.plain_until:
        began = await runner.begin()
        if began >= fleet.plain_until:
            raise AsyncNeedsFlow
    return began


def _well(copy: CopyPlan) -> str:
    """The name of the copy's node. Raises AsyncNeedsFlow if it is not well."""
    if copy.pool.breaker.state is not State.UP:
        raise AsyncNeedsFlow
    return copy.node


def _question(copy: CopyPlan, name: bytes, slot: int) -> Get:
    return Get(name, copy.generations.of(slot) if copy.generations else 0)


async def _ask(runner: Runner, began: float, commands: Mapping[str, Sequence[Get]], single: bool) -> Replies:
    deadline = runner.fleet.deadline(began)
    until = deadline.of(commands if single else Brief(commands))
    gathering = Gathering(len(commands))
    for node, batch in commands.items():
        runner.transport.ask(node, batch, until, gathering.answered)
    await within_budget(gathering.all, runner.fleet.clock)
    return gathering.replies


def _missed(reply: object) -> bool:
    """A stub is a miss too: another caller is loading."""
    return reply is Answer.MISS or type(reply) is Value
