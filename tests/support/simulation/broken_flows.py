"""Rules that are broken by a wrapper around the real flows."""

from collections.abc import Callable, Iterable
from typing import Any

from django_dcache.commands import Answer, Arithmetic, Command, Get, Store, Token, Value
from django_dcache.errors import NodeTimeout
from django_dcache.flows import Flow, Learn, Owe, Urgent, lost
from django_dcache.flows.consensus import bump
from django_dcache.flows.fill import fill
from django_dcache.flows.lateness import Late
from django_dcache.flows.read import Found
from django_dcache.flows.steps import carried
from django_dcache.model.keys import RESERVED
from django_dcache.model.view import Place, Standing, View

from .roles import Flows, Operation


def altered(flow: Operation, change: Callable[[Command], Command]) -> Operation:
    """`flow` with each of its commands changed."""

    def carry(step: Any) -> Flow[Any]:
        if isinstance(step, dict):
            step = type(step)({node: [change(command) for command in batch] for node, batch in step.items()})
        return (yield step)

    return lambda view, *arguments: carried(flow(view, *arguments), carry)


def forget_token(command: Command) -> Command:
    return command._replace(token=None) if type(command) is Store and not command.name.startswith(RESERVED) else command


def without_bump(flow: Operation) -> Operation:
    """`flow`, made believe that its bumps succeed."""

    def run(view: View, *arguments: object) -> Flow[object]:
        def carry(step: Any) -> Flow[Any]:
            if isinstance(step, Urgent):
                here = Value(view.state.encode(), token=Token(1, 0))
                return {n: [here if type(c) is Get else Answer.DONE for c in batch] for n, batch in step.items()}
            return None if isinstance(step, Learn | Owe) else (yield step)

        return carried(flow(view, *arguments), carry)

    return run


def seen_by(view_class: type[View], flow: Operation) -> Operation:
    """`flow` under another kind of view."""

    def run(view: View, *arguments: object) -> Flow[object]:
        fields = {name: getattr(view, name) for name, field in View.__dataclass_fields__.items() if field.init}
        return (yield from flow(view_class(**fields), *arguments))

    return run


def losing_late(view: View, flow: Flow[Any]) -> Flow[Any]:
    """`flow`, to which each late reply is as good as lost."""

    def carry(step: Any) -> Flow[Any]:
        answer = yield step
        if isinstance(answer, Late):
            return {node: [NodeTimeout("too late", node=node)] * len(said) for node, said in answer.items()}
        return answer

    return carried(flow, carry)


def repairing(view: View, names: Iterable[bytes]) -> Flow[Found]:
    """Reads that copy what they find to replicas that lack it."""
    found = Found()
    for name in names:
        route, slot = view.place(name)
        order = route.read if int(view.clock() * 1000) % 2 else route.read[::-1]
        for target in order:
            sources = tuple(node for node in order if node != target)
            found |= yield from fill(view, {name: Place(route._replace(fill=sources), slot)}, target)
            if name in found:
                break
    return found


def counting_side_by_side(view: View, name: bytes, delta: int) -> Flow[int | None]:
    """Each copy counts, and the first one that answers gives the number."""
    route, slot = view.place(name)
    if route.truth:
        return (yield from Flows().count(view, name, delta))
    asks = {
        node: [Arithmetic(name, view.generation(node, slot), delta)]
        for node in route.write
        if view.standing(node, slot) is Standing.OPEN
    }
    replies = (yield asks) if asks else {}
    silent = {(node, slot) for node, (reply,) in replies.items() if lost(asks[node][0], reply)}
    if silent and not (yield from bump(view, silent)):
        return None
    numbers = (replies[node][0] for node in asks if isinstance(replies[node][0], Value))
    return next((int(number.data) for number in numbers), None)
