"""What was stored before its prefix was invalidated is no value: to a flow it is a stub (docs/adr/0028).

So every flow does with it what it does with an absent key: a read misses, an addition or a load takes its place by its
token, and whatever another process writes there meanwhile, under any generation, voids that token.

A node tells the flags of an item only where they are asked for. A touch, a delete and a count by name are sent behind
such a question, in the same batch; what they do to an outdated item is of no account.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from ..commands import Answer, Arithmetic, Command, Get, Refused, Remove, Reply, Store, Touch, Value, is_item
from ..errors import NodeFailure
from ..model.stamps import StampedName
from ..model.view import View
from . import Batches, Brief, Flow, Replies, Result, Urgent
from .steps import carried

Said = Reply | NodeFailure


def stamped(view: View, flow: Flow[Result]) -> Flow[Result]:
    """`flow`, decided by `view`, as it is to be carried: with stamps, and nothing outdated among the replies."""
    return carried(flow, _carry) if view.prefixes else flow


def _carry(step: Any) -> Flow[Any]:
    return (yield from _carry_round(step)) if isinstance(step, dict) and _concerned(step) else (yield step)


def _concerned(step: Batches) -> bool:
    return any(_name(command) is not None for commands in step.values() for command in commands)


def _name(command: Command) -> StampedName | None:
    name = getattr(command, "name", None)
    return name if isinstance(name, StampedName) else None


def _carry_round(step: dict[str, Sequence[Command]]) -> Flow[Replies]:
    sent = {node: [part for command in commands for part in _sent(command)] for node, commands in step.items()}
    replies = yield type(step)(sent) if isinstance(step, Brief | Urgent) else sent
    answer: dict[str, list[Said]] = {}
    vacant: dict[str, list[int]] = {}
    for node, commands in step.items():
        said = iter(replies[node])
        answer[node] = []
        for number, command in enumerate(commands):
            reply, outdated = _heard(command, said)
            answer[node].append(reply)
            if outdated and isinstance(command, Get) and command.lease:
                vacant.setdefault(node, []).append(number)
    if vacant:
        yield from _vacate(step, vacant, answer)
    return answer


def _vacate(step: Batches, vacant: dict[str, list[int]], answer: dict[str, list[Said]]) -> Flow[None]:
    """Where a lease is wanted the outdated item is removed first: of several that find it one has the lease then."""
    asks: dict[str, list[Command]] = {}
    for node, numbers in vacant.items():
        asks[node] = []
        for number in numbers:
            command, found = step[node][number], answer[node][number]
            assert isinstance(command, Get) and isinstance(found, Value)
            asks[node] += [Remove(command.name, command.generation, found.token), command]
    replies = yield asks
    for node, numbers in vacant.items():
        for number, reply in zip(numbers, replies[node][1::2], strict=True):
            answer[node][number], _ = _heard(step[node][number], iter((reply,)))


def _sent(command: Command) -> tuple[Command, ...]:
    """What is sent for a command."""
    name = _name(command)
    if name is None or isinstance(command, Get):
        return (command,)
    if isinstance(command, Store):
        return (command._replace(flags=name.flags(command.flags)),)
    return (_look(command), command) if _looks(command) else (command,)


def _looks(command: Command) -> bool:
    """Whether it is sent behind a question: it names whatever item is there, and not one that was seen."""
    return isinstance(command, Touch) or (isinstance(command, Remove | Arithmetic) and command.token is None)


def _look(command: Command) -> Get:
    assert isinstance(command, Touch | Remove | Arithmetic)
    return Get(command.name, command.generation, value=False, peek=True)


def _heard(command: Command, said: Iterator[Said]) -> tuple[Said, bool]:
    """The reply to a command, and whether there was an item that is outdated."""
    name, reply = _name(command), next(said)
    if name is None or isinstance(command, Store):
        return reply, False
    outdated = is_item(reply) and name.outdated(reply.flags)
    if isinstance(command, Get):
        if outdated and isinstance(reply, Value):
            reply = reply._replace(data=None, flags=0, stub=True)
        return reply, outdated
    if not _looks(command):
        return reply, False
    absent = outdated or reply is Answer.MISS or (isinstance(reply, Value) and reply.stub)
    reply = next(said)
    # What is no number, and refused for that, may be outdated, too.
    done = Value | Answer | Refused if isinstance(command, Arithmetic) else Value | Answer
    return (Answer.MISS if absent and isinstance(reply, done) else reply), outdated
