"""A process as its flows see it: `runtime.fleet.Fleet`, with simulated time in place of sockets and locks.

`run` is a generator that yields what only the world can do: carry a round, or let time pass.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django_dcache.commands import Command
from django_dcache.errors import NoReplica
from django_dcache.flows import Flow, Learn, Load, Owe, Pause, Shun, Urgent, Wait
from django_dcache.flows.consensus import prove
from django_dcache.flows.healing import Rules, Watch, heal
from django_dcache.flows.lateness import Late, confirmed
from django_dcache.model.placement import Placement
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Phase, Topology
from django_dcache.model.view import View

FLEET = "sim"
FRESHNESS = 0.5
TIMEOUT = 0.25
FOR_EVER = float("inf")
HOLD = FRESHNESS + 2 * TIMEOUT


@dataclass(frozen=True, slots=True)
class Round:
    """Carry these batches by `deadline`."""

    batches: Mapping[str, Sequence[Command]]
    deadline: float
    topology: Topology | None = None
    """By which nodes have addresses; None: that of the task's process."""


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Fork:
    """Become two: `child` does this in a thread that is a copy of this one."""

    child: "Process"
    script: "Script"


Demand = Round | Sleep | Fork
Script = Generator[Demand, Any, Any]


class Process:
    """What its threads share: the view, and who is proving it."""

    def __init__(
        self,
        name: str,
        topology: Topology,
        clock: Callable[[], float],
        view_class: type[View] = View,
        never_again: bool = False,
        rules: Rules = Rules(),
        heal_flow: Callable[..., Flow[None]] = heal,
        confirmed_flow: Callable[..., Flow[Any]] = confirmed,
    ):
        self.name, self.clock, self._never_again = name, clock, never_again
        self._born = topology, clock, view_class, never_again, rules, heal_flow, confirmed_flow
        self._confirmed = confirmed_flow
        self.view = view_class(
            FLEET,
            FleetState(topology),
            _placement(topology),
            clock,
            lambda: 1e9 + clock(),
            HOLD,
            freshness=FRESHNESS,
        )
        self.renew_at = float("-inf")
        self.proving = False
        self.rules, self.watch, self.heal = rules, Watch(), heal_flow
        self.silent: dict[str, float] = {}
        """Since when nodes do not answer."""

    def newcomer(self, name: str) -> "Process":
        """One that starts as this one did."""
        return Process(name, *self._born)

    def forked(self, name: str) -> "Process":
        """A child: what was learned stays, its proof too."""
        child = self.newcomer(name)
        child.view, child.renew_at, child.silent = self.view, self.renew_at, dict(self.silent)
        return child

    @property
    def proven(self) -> bool:
        return self.clock() - self.view.proven_at < FRESHNESS

    def run(self, flow: Callable[..., Flow[Any]], *arguments: Any) -> Script:
        """What the flow returns; None for what every copy failed at, as the backend makes a miss of it."""
        yield from self.prove()
        try:
            return (yield from self.drive(self._confirmed(self.view, flow(self.view, *arguments))))
        except NoReplica:
            return None

    def prove(self) -> Script:
        # Again, if this process stood still meanwhile.
        for _ in range(3):
            if self.clock() < self.renew_at:
                return
            while self.proving:
                if self.proven:
                    return
                yield Sleep(0.002)
            if self.clock() >= self.renew_at:
                self.proving = True
                began = self.clock()
                if not (yield from self.drive(prove(self.view))):
                    self.renew_at = began + 2 * TIMEOUT
                else:
                    self.renew_at = FOR_EVER if self._never_again else self.view.proven_at + FRESHNESS / 2
                    yield from self._heal()
                self.proving = False

    def _heal(self) -> Script:
        """As `Fleet` does after a proof."""
        state = self.view.state
        moving = state.topology.phase is not Phase.STABLE
        if not (moving or self.silent or state.topology.layout.out or state.accused):
            return
        silent = {node: self.clock() - since for node, since in self.silent.items()}
        yield from self.drive(self.heal(self.view, self.watch, self.rules, silent))
        if self.view.state.accused or self.silent:
            self.renew_at = self.clock() + (0.1 if self.view.state.accused else 0.2)

    def heard(self, node: str, answered: bool) -> None:
        """What became of one request, as a breaker would keep it."""
        if answered:
            self.silent.pop(node, None)
        else:
            self.silent.setdefault(node, self.clock())

    def drive(self, flow: Generator[Any, Any, Any]) -> Script:
        deadline = self.clock() + TIMEOUT
        answer: Any = None
        try:
            while True:
                step = flow.send(answer)
                answer = None
                if isinstance(step, Urgent):
                    answer = yield Round(step, self.clock() + TIMEOUT, self.view.state.topology)
                elif isinstance(step, dict):
                    answer = yield Round(step, deadline, self.view.state.topology)
                    if isinstance(answer, Late):
                        deadline = self.clock() + TIMEOUT
                elif isinstance(step, Learn):
                    self.learn(step)
                elif isinstance(step, Owe):
                    self.view = self.view.owing(step.wanted)
                elif isinstance(step, Shun):
                    self.view = self.view.shunning(step.nodes)
                elif isinstance(step, Pause):
                    yield Sleep(step.seconds)
                elif isinstance(step, Wait):
                    yield Sleep(step.seconds)
                    yield from self.prove()
                    answer, deadline = self.view, self.clock() + TIMEOUT
                elif isinstance(step, Load):
                    loaded = yield from step.call()
                    yield from self.prove()
                    answer, deadline = (loaded, self.view), self.clock() + TIMEOUT
        except StopIteration as stop:
            return stop.value

    def learn(self, step: Learn) -> None:
        before = self.view.state
        self.view = self.view.learn(step.state, step.proven_at, step.held)
        if self.view.state.accused and self.view.state is not before:
            self.renew_at = float("-inf")


@lru_cache
def _placement(topology: Topology) -> Placement:
    return Placement(topology)
