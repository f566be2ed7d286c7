"""Flows played by hand: the test says which rounds it expects and what comes of them."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from django_dcache.commands import Store
from django_dcache.errors import NodeTimeout, NoReplica
from django_dcache.flows import Learn, Load, Owe, Pause, Shun, Wait
from django_dcache.model.keys import RESERVED, wire_key
from django_dcache.model.placement import Placement
from django_dcache.model.state import FleetState, state_key
from django_dcache.model.topology import Layout, Node, Phase, Topology
from django_dcache.model.view import View
from django_dcache.testing import ManualClock
from support.simulation.node import Node as Memory

WALL = 1_700_000_000.0
FLEET = "f"
HOLD = 1.5


def layout(*names, replicas=1):
    """A layout of these nodes, each at an address of its own."""
    return Layout(tuple(Node(name, f"10.0.0.{ord(name[0])}:11211") for name in names), replicas)


def topology(old, new=None, phase=Phase.STABLE, replicas=1, epoch=5):
    """`old` and `new`: node names, one letter each."""
    target = layout(*new, replicas=replicas) if new else None
    return Topology(epoch, layout(*old, replicas=replicas), phase, target)


def view_of(state, **changes):
    """A proven view of a state or a topology, at a clock that stands still."""
    state = state if isinstance(state, FleetState) else FleetState(state)
    clock = ManualClock()
    view = View(FLEET, state, Placement(state.topology), clock, lambda: WALL, HOLD, proven_at=clock.now)
    return replace(view, **changes)


def names_for(view, count, **route):
    """As many names whose route is like this."""
    names = []
    for name in (b"k%d" % number for number in range(100_000)):
        found = view.place(name).route
        if all(getattr(found, field) == wanted for field, wanted in route.items()):
            names.append(name)
            if len(names) == count:
                return names
    raise LookupError(f"too few names have {route}")


def name_for(view, **route):
    """A name whose route is like this."""
    return names_for(view, 1, **route)[0]


class Keepers:
    """What the keepers hold. `silent` ones answer nothing."""

    def __init__(self, view, *, silent=(), documents=None):
        self.silent = set(silent)
        self.asked = []
        """The kind of each round that was answered."""
        self._nodes = {name: Memory(name, ManualClock()) for name in (*view.state.topology.nodes, *(documents or ()))}
        for name in view.state.topology.nodes if documents is None else ():
            self.put(name, view.state.encode())
        for name, document in (documents or {}).items():
            self.put(name, document)

    def put(self, name, document, fleet=FLEET):
        """Give a keeper a document; None: it has lost its own."""
        self._nodes[name].restart()
        if document is not None:
            self._nodes[name].execute(Store(state_key(fleet), 0, document), 0)

    def document(self, name):
        """The bytes a keeper holds, or None."""
        item = self._nodes[name].items.get(wire_key(state_key(FLEET), 0))
        return item and item.data

    def state(self, name):
        """The state a keeper holds."""
        return FleetState.decode(self.document(name))

    def answer(self, step):
        self.asked.append(type(step))
        return {
            name: [NodeTimeout(node=name) if name in self.silent else self._nodes[name].execute(c, 1) for c in commands]
            for name, commands in step.items()
        }


class Play:
    """One flow, played to its end. `rounds`: {node: {command: reply}}, in the order in which they are expected.

    Rounds about the fleet state, and those in which nodes are emptied, are for `keepers` to answer. `loaded`: the view
    after a Load, if it is another one.
    """

    def __init__(self, flow: Generator[Any, Any, Any], *rounds, keepers=None, loaded=None, waited=None):
        self._waited = waited
        """The view after a Wait; None: the request has no time left."""
        self.learned, self.owed, self.pauses, self.shunned = [], [], [], []
        self.kinds = []
        """The type of each round."""
        self._rounds, self._keepers, self._loaded = list(rounds), keepers, loaded
        self.result: Any = None
        """What the flow returned; NoReplica if that was raised."""
        advance, answer = flow.send, None
        try:
            while True:
                step = advance(answer)
                advance, answer = flow.send, None
                match step:
                    case Learn():
                        self.learned.append(step)
                    case Owe():
                        self.owed.append(step)
                    case Shun():
                        self.shunned.append(step.nodes)
                    case Pause():
                        self.pauses.append(step.seconds)
                    case Wait():
                        self.pauses.append(step.seconds)
                        answer = self._waited
                    case Load():
                        try:
                            answer = step.call(), self._loaded
                        except BaseException as error:
                            advance, answer = flow.throw, error
                    case _:
                        answer = self._answer(step)
        except StopIteration as stop:
            self.result = stop.value
        except NoReplica:
            self.result = NoReplica
        assert not self._rounds, f"rounds that were not asked for: {self._rounds}"

    def _answer(self, step):
        assert step and all(step.values()), "an empty batch would be waited for in vain"
        names = [getattr(command, "name", RESERVED) for batch in step.values() for command in batch]
        if self._keepers and all(name.startswith(RESERVED) for name in names):
            return self._keepers.answer(step)
        assert self._rounds, f"an unexpected round: {dict(step)}"
        expected = self._rounds.pop(0)
        asked = {node: [*batch] for node, batch in step.items()}
        wanted = {node: [*batch] for node, batch in expected.items()}
        assert asked == wanted, f"asked {asked}, expected {wanted}"
        self.kinds.append(type(step))
        return {node: [*batch.values()] for node, batch in expected.items()}
