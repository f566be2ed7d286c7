"""Two flows that do not need each other: their first rounds are one."""

from collections import defaultdict
from typing import Any, Generic, TypeVar

from ..commands import Command
from . import Flow, Result, Urgent

Other = TypeVar("Other")


def together(first: Flow[Result], second: Flow[Other]) -> Flow[tuple[Result, Other]]:
    """What both return. A node is asked what `first` asks before what `second` does; after that round `first` is
    brought to its end, and then `second`."""
    one, other = _Begun(first), _Begun(second)
    if one.begins_with_a_round and other.begins_with_a_round:
        commands: dict[str, list[Command]] = defaultdict(list)
        for flow in (one, other):
            for node, asked in flow.step.items():
                commands[node] += asked
        replies = yield dict(commands)
        sizes = {node: len(asked) for node, asked in one.step.items()}
        others = {node: replies[node][sizes.get(node, 0) :] for node in other.step}
        one.go_on({node: replies[node][:size] for node, size in sizes.items()})
        other.go_on(others)
    return (yield from one.rest()), (yield from other.rest())


class _Begun(Generic[Result]):
    """A flow that has yielded a step, or is over."""

    step: Any
    result: Result

    def __init__(self, flow: Flow[Result]):
        self._flow = flow
        self.go_on(None)

    def go_on(self, answer: Any) -> None:
        try:
            self.step, self.over = self._flow.send(answer), False
        except StopIteration as stop:
            self.result, self.over = stop.value, True

    @property
    def begins_with_a_round(self) -> bool:
        return not self.over and isinstance(self.step, dict) and not isinstance(self.step, Urgent)

    def rest(self) -> Flow[Result]:
        while not self.over:
            self.go_on((yield self.step))
        return self.result
