"""Every order of the commands of a few operations, instead of a random one; and with a fault, at every command.

Time stands still: the processes keep the view they were given, one phase behind or not. Orders that lead to the same
nodes and the same replies so far are the same, and only one of them is followed.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from django_dcache.commands import Store
from django_dcache.model.state import FleetState, state_key
from django_dcache.model.topology import Phase, Topology
from django_dcache.model.view import View

from .cases import CASES, FAULTS
from .exchange import Delivery
from .history import FOR_EVER, History
from .node import Item as NodeItem
from .parts import PARTS, fetched
from .process import HOLD, Process
from .roles import Flows
from .world import World

STAGES = (Phase.STABLE, Phase.PREPARE, Phase.COPY, Phase.FLIP, Phase.SETTLE, Phase.STABLE)
"""Of a resize; an index into it is how far somebody knows it to have come."""
OLD, NEW, BOTH, NOWHERE = "old", "new", "both", "nowhere"


@lru_cache
def topology_at(case_name: str, stage: int) -> Topology:
    """What a process knows at that stage."""
    before, after = CASES[case_name].layouts()
    topology = Topology(1, before)
    for phase in STAGES[1 : stage + 1]:
        topology = topology.begin(after) if phase is Phase.PREPARE else topology.step(phase)
    return topology


@dataclass(frozen=True)
class Play:
    """Who does what, under which stage; `where` the key is at first; the checks are History's."""

    case: str
    parts: tuple[tuple[str, int], ...]
    """(what, stage) of each process; for what there is see parts.py."""
    where: str = OLD
    losses: int = 0
    """How many commands may go unanswered, and be executed later, or never."""
    restarts: tuple[str, ...] = ()
    """Nodes that lose everything once, at any moment."""
    tokens_travel: bool = False
    key: int = 0
    """Which of the case's keys: they differ in whether the first copy joins, stays or leaves."""
    flows: Flows = Flows()
    view_class: type[View] = View


class Stage:
    """One run of a play: everything is new, only `choices` comes from outside; without them chance decides."""

    def __init__(self, play: Play, choices: Sequence[int] | None, chance: random.Random = random.Random(0)):
        self.play, self._given = play, choices
        self.taken: list[tuple[int, int]] = []
        """What was chosen, of how many."""
        before, after = CASES[play.case].layouts()
        self.world = World(chance, FAULTS["calm"], (before, after), delays=False)
        self.name = CASES[play.case].names(play.key + 1)[play.key]
        self.history = History(0.0)
        self._ticks = 0
        self.added: list[str] = []
        self.numbers: list[int] = []
        self.missed: list[str] = []
        """Who was told that there is no counter."""
        self.swapped: list[str] = []
        """Who swapped the first value."""
        self.unswapped: set[int] = set()
        """Versions whose swap did not succeed."""
        self._losses = play.losses
        newest = FleetState(topology_at(play.case, max(stage for _, stage in play.parts)))
        self.world.tokens_travel = play.tokens_travel
        self._restarts = list(play.restarts)
        for keeper in {keeper for group in newest.topology.keepers for keeper in group}:
            self.world.nodes[keeper].items[state_key("sim")] = NodeItem(newest.encode(), 0, None, 0, False)
        self.processes = [self._process(f"{what}{i}@{stage}", stage) for i, (what, stage) in enumerate(play.parts)]
        self._put_item()

    def _put_item(self) -> None:
        version = self.history.begin(self.tick())
        self.history.end(version, self.tick(), True)
        old = self._process("", 0).view.place(self.name).route.write
        new = self._process("", 5).view.place(self.name).route.write if CASES[self.play.case].path else old
        homes = {OLD: old, NEW: new, BOTH: {*old, *new}, NOWHERE: ()}[self.play.where]
        for home in homes:
            self.world.nodes[home].execute(Store(self.name, 0, b"%d" % version), 0)

    def _process(self, name: str, stage: int) -> Process:
        topology = topology_at(self.play.case, stage)
        process = Process(name, topology, self.world.clock, self.play.view_class)
        process.view = process.view.learn(FleetState(topology), 0.0)
        process.renew_at = FOR_EVER
        return process

    def tick(self) -> float:
        """Time stands still, but there is an order."""
        self._ticks += 1
        return float(self._ticks)

    def run(self, seen: set[Any]) -> bool:
        """False if it comes to where another run has been."""
        tasks = [
            self.world.spawn(process.name, process, PARTS[what](self, process))
            for process, (what, _) in zip(self.processes, self.play.parts, strict=True)
        ]
        while True:
            ready = self.world.deliveries
            options: list[Callable[[], None]] = [partial(self._execute, delivery) for delivery in ready]
            if self._losses:
                options += [partial(self._lose, delivery) for delivery in ready if not delivery.lost]
            options += [partial(self._restart, name) for name in self._restarts]
            if all(delivery.lost for delivery in ready):
                if self._wake():
                    continue
                if not options:
                    return True
                options.append(self._end)
            if self._given is not None and len(self.taken) >= len(self._given):
                heard = repr([task.heard for task in tasks])
                key = (repr(ready), self._losses, len(self._restarts), heard, self._contents(), self._order())
                if key in seen:
                    return False
                seen.add(key)
            at = len(self.taken)
            if self._given is None:
                choice = self.world.chance.randrange(len(options))
            else:
                choice = self._given[at] if at < len(self._given) else 0
            self.taken.append((choice, len(options)))
            options[choice]()

    def _wake(self) -> bool:
        """Whoever waits for somebody else looks again when nobody else can move."""
        sleepers = [when for when, _, _ in self.world.due]
        if sleepers:
            self.world.run(min(sleepers))
        return bool(sleepers)

    def _execute(self, delivery: Delivery) -> None:
        if delivery.last:
            self.world.deliveries.remove(delivery)
        delivery.execute()

    def _lose(self, delivery: Delivery) -> None:
        self._losses -= 1
        delivery.lose()

    def _restart(self, name: str) -> None:
        self._restarts.remove(name)
        node = self.world.nodes[name]
        document = node.items[state_key("sim")]
        node.restart()
        node.items[state_key("sim")] = document
        for delivery in [delivery for delivery in self.world.deliveries if delivery.node is node]:
            self.world.deliveries.remove(delivery)
            delivery.lose()

    def _end(self) -> None:
        """Whatever may still happen never does."""
        self.world.deliveries.clear()
        self._restarts.clear()

    def _contents(self) -> Any:
        return tuple(
            tuple(sorted((key, item.data, item.cas, item.stub) for key, item in node.items.items()))
            for _, node in sorted(self.world.nodes.items())
        )

    def _order(self) -> Any:
        """Which write came before which, as far as it can still matter."""
        writes = self.history.writes
        pairs = [(a, b) for a in writes for b in writes if writes[a].ended < writes[b].began]
        acknowledged = [write.acknowledged < FOR_EVER for write in writes.values()]
        return repr((pairs, acknowledged, self.added, self.numbers, self.missed, self.swapped, self.unswapped))

    def check(self) -> list[str]:
        """What is wrong when all is over."""
        wrong = []
        what = {what for what, _ in self.play.parts}
        if not self.play.losses:
            wrong += self._look()
        if self.play.losses or self.play.restarts:
            # Whoever held an old view has looked again.
            self.world.now += 3 * HOLD
            for process in self.processes:
                process.renew_at = self.world.now
            wrong += self._look()
        if len(self.added) > (self.play.where == NOWHERE) and not what & {"set", "delete"}:
            wrong.append(f"added {' and '.join(self.added)}")
        if len(set(self.numbers)) < len(self.numbers):
            wrong.append(f"handed out {self.numbers}")
        if len(self.swapped) > 1:
            wrong.append(f"swapped by {' and '.join(self.swapped)}")
        return wrong

    def _look(self) -> list[str]:
        wrong = []
        what = {what for what, _ in self.play.parts}
        kept = not what & {"set", "delete", "incr", "swap", "swap for nothing"} and not self.play.losses
        # A counter with one copy, which nothing but counts, reads and a mover come near.
        alone = what <= {"incr", "read", "move"} and not (self.play.losses or self.play.restarts)
        alone = alone and {layout.replicas for layout in CASES[self.play.case].layouts()} == {1}
        for process in self.processes:
            found: list[Any] = []
            task = self.world.spawn("look", process, fetched(self, process, found))
            while self.world.deliveries:
                self._execute(self.world.deliveries[0])
            assert found, task.name
            value = found[0].get(self.name)
            if value is None:
                if (kept or alone) and (self.play.where != NOWHERE or self.added):
                    wrong.append(f"{process.name} lost it")
            elif what & {"incr"}:
                number = int(value.data)
                if self.numbers and not max(self.numbers) <= number <= 1 + len(self.play.parts):
                    wrong.append(f"{process.name} counts {number} after {self.numbers}")
                if self.missed and alone:
                    wrong.append(f"{self.missed} did not find what {process.name} reads")
            elif newer := self.history.outdated(int(value.data), self.tick()):
                wrong.append(f"{process.name} read {value.data!r}, outdated by {newer}")
            elif int(value.data) in self.unswapped:
                wrong.append(f"{process.name} read {value.data!r}, whose swap did not succeed")
        return wrong


class Verdict(NamedTuple):
    wrong: str
    runs: int
    """Negative: not every order was tried."""
    states: int


def explore(play: Play, most: int = 100_000) -> Verdict:
    """The first order in which something goes wrong, if any of them does."""
    seen: set[Any] = set()
    choices: list[int] = []
    for runs in range(1, most + 1):
        stage = Stage(play, choices)
        if stage.run(seen) and (wrong := stage.check()):
            return Verdict(f"{wrong[0]} by {[choice for choice, _ in stage.taken]}", runs, len(seen))
        taken = stage.taken
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return Verdict("", runs, len(seen))
        choices = [choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1]
    return Verdict("", -most, len(seen))


def sample(play: Play, runs: int, seed: int = 0) -> Verdict:
    """As `explore`, but orders by chance: for plays that have too many."""
    chance = random.Random(seed)
    for run in range(1, runs + 1):
        stage = Stage(play, None, chance)
        if stage.run(set()) and (wrong := stage.check()):
            return Verdict(f"{wrong[0]} by {[choice for choice, _ in stage.taken]}", run, 0)
    return Verdict("", -runs, 0)
