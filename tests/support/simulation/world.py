"""Time, delivery and faults: one heap of what is due, and everything happens in its order."""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

from django_dcache.commands import CONDITIONAL, Command, Store
from django_dcache.errors import LeaseLost
from django_dcache.flows.lateness import Late
from django_dcache.model.planting import PLANTED_SLOT
from django_dcache.model.state import FleetState, Note, state_key
from django_dcache.model.topology import Layout, Topology

from .cases import Faults
from .exchange import Delivery, Exchange, Replies
from .node import Node
from .process import FLEET, FOR_EVER, HOLD, Fork, Process, Script, Sleep


class Task:
    """A thread of a process: one script, and a connection of its own to each node."""

    def __init__(self, name: str, process: Process, script: Script):
        self.name, self.process, self.script = name, process, script
        self.connections: dict[str, tuple[int, int]] = {}
        """Serial and incarnation of each."""
        self.pace = 1.0
        self.heard: list[object] = []
        """Every reply so far, which with its script is all that it will ever do."""


class World:
    """Without `delays` everything is due at once, and orders.py decides what comes next."""

    def __init__(
        self,
        chance: random.Random,
        faults: Faults,
        layouts: Iterable[Layout],
        tell: Callable[[str], None] | None = None,
        delays: bool = True,
    ):
        self.chance, self.faults, self.tell = chance, faults, tell
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.servers: dict[str, Node] = {}
        """By address. Of a node that changes its address, the later server is called by its name and a stroke."""
        for name, address in sorted({(node.name, node.address) for layout in layouts for node in layout.nodes}):
            known = f"{name}'" if name in self.nodes else name
            self.nodes[known] = self.servers[address] = Node(known, lambda: self.now)
        self.all_awake = 0.0
        """When the last process goes on that stands still."""
        self.severed: dict[tuple[str, str], float] = {}
        """(process, node): until when the one can't reach the other."""
        self.victim = ""
        """The node whose absence matters most."""
        self.tokens_travel = False
        """Broken on purpose: a token is used on whatever connection there is."""
        self.maps_alike = False
        """Broken on purpose: maps that were planted apart say that they are the same."""
        self.layout, *_ = layouts
        self._leftovers, self._left_over_at = 0, float("-inf")
        self.forks_unseen = False
        """Broken on purpose: a child uses the connections of its parent."""
        self.waiting: dict[int, list[Exchange]] = {}
        """By connection: the rounds whose replies have yet to be read there."""
        self.delays = delays
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.deliveries: list[Delivery] = []
        """Without delays: commands under way."""
        self.tasks: list[Task] = []
        self._order = itertools.count()
        self._serials = itertools.count(1)

    def clock(self) -> float:
        return self.now

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.due, (when, next(self._order), action))

    def run(self, until: float) -> None:
        while self.due and self.due[0][0] <= until:
            self.now, _, action = heapq.heappop(self.due)
            action()

    def delay(self, pace: float = 1.0) -> float:
        """Mostly short, sometimes ten times as long: short enough to keep a deadline of many rounds."""
        return self.chance.random() ** 3 * 0.02 * pace

    # Processes

    def spawn(self, name: str, process: Process, script: Script, after: float = 0.0) -> Task:
        task = Task(name, process, script)
        self.tasks.append(task)
        if not self.delays:
            self._resume(task, None)
            return task
        task.pace = self.chance.choice((0.2, 1.0, 1.0, 2.0))
        self.at(self.now + after, lambda: self._resume(task, None))
        return task

    def _resume(self, task: Task, answer: Any) -> None:
        try:
            demand = task.script.send(answer)
        except StopIteration:
            return
        if isinstance(demand, Sleep):
            self.at(self.now + demand.seconds, lambda: self._resume(task, None))
            return
        if isinstance(demand, Fork):
            child = self.spawn(f"{demand.child.name} (a child of {task.name})", demand.child, demand.script)
            if self.forks_unseen:
                child.connections = dict(task.connections)
            self.at(self.now, lambda: self._resume(task, None))
            return
        if not self.delays:
            # Only commands take turns: what a process does by itself nobody else can see.
            Exchange(self, task, demand).begin()
            return
        pause = self.delay(task.pace) / 4
        if self.faults.freeze and self.chance.random() < self.faults.freeze:
            pause = self.chance.choice((0.3, 1.0, 3.0)) * self.chance.random()
            self.all_awake = max(self.all_awake, self.now + pause)
            self.say(f"{task.name} is frozen for {pause:.3f} s")
        self.at(self.now + pause, Exchange(self, task, demand).begin)

    def finish(self, task: Task, outcomes: Replies, deadline: float = FOR_EVER) -> None:
        """All replies of a round are there; a process that stands still reads them after its `deadline`."""
        task.heard.append(tuple(sorted((name, repr(replies)) for name, replies in outcomes.items())))
        if self.faults.late and self.chance.random() < self.faults.late and deadline < FOR_EVER:
            wakes = max(self.now, deadline) + self.chance.random() ** 2 * 2
            self.all_awake = max(self.all_awake, wakes)
            self.say(f"{task.name} stands still until {wakes:.3f}")
            self.at(wakes, lambda: self._resume(task, Late(outcomes)))
        elif self.delays:
            self.at(self.now, lambda: self._resume(task, outcomes))
        else:
            self._resume(task, outcomes)

    def say(self, what: str) -> None:
        if self.tell:
            self.tell(f"{self.now:9.4f} {what}")

    def connection(self, task: Task, node: Node, commands: tuple[Command, ...]) -> int:
        """This task's connection; raises LeaseLost for a token of another one."""
        serial, incarnation = task.connections.get(node.name, (0, -1))
        if incarnation != node.incarnation:
            serial = next(self._serials)
            task.connections[node.name] = serial, node.incarnation
        for command in commands:
            if isinstance(command, CONDITIONAL) and command.token and command.token.connection != serial:
                if not self.tokens_travel:
                    raise LeaseLost(node=node.name)
        return serial

    def reaches(self, process: Process, node: Node) -> bool:
        """Whether a connection can be made now."""
        return max(node.away_until, self.severed.get((process.name, node.name), 0.0)) <= self.now

    def ever_out(self, processes: list[Process]) -> str:
        """A node that the processes ever took out, if there is one."""
        noted = (name for process in processes for name in self.nodes if process.view.state.note(name, Note.OUT))
        return next(noted, "")

    # Faults that come by themselves

    def trouble(self) -> None:
        """Evictions, restarts, absences: a look at every node now and then."""
        faults = self.faults
        for node in self.nodes.values():
            if self.chance.random() < faults.evict and (keys := node.evictable()):
                del node.items[self.chance.choice(keys)]
            if self.chance.random() < faults.restart:
                self.say(f"{node.name} restarts empty")
                node.restart()
            if faults.leftover and self.chance.random() < faults.leftover and self.now > self._left_over_at + 2 * HOLD:
                self._leftovers, self._left_over_at = self._leftovers + 1, self.now
                self.say(f"{node.name} comes back with the map of a fleet that was lost")
                node.restart()
                node.execute(self._leftover(), 0)
            if self.chance.random() < faults.away and all(n.away_until <= self.now for n in self.nodes.values()):
                node.away_until = self.now + self.chance.random() * 2
                self.say(f"{node.name} is away until {node.away_until:.3f}")
            often = 3 if node.name == self.victim else 0.3
            if self.chance.random() < faults.gone * often and all(
                n.away_until <= self.now for n in self.nodes.values()
            ):
                node.away_until = self.now + 0.5 + self.chance.random() * 3
                how = "with" if self.chance.random() < 0.5 else "without"
                if how == "without":
                    node.restart()
                self.say(f"{node.name} is gone until {node.away_until:.3f}, and comes back {how} what it held")
        self._sever()
        self.at(self.now + 0.02, self.trouble)

    def _leftover(self) -> Store:
        """A map of many epochs, in which all but one of the nodes serve."""
        gone = self._leftovers % len(self.layout.nodes)
        nodes = self.layout.nodes[:gone] + self.layout.nodes[gone + 1 :]
        state = FleetState(Topology(40 * self._leftovers, Layout(nodes, min(self.layout.replicas, len(nodes)))))
        if self.maps_alike:
            state = state.bumped({PLANTED_SLOT: 1})  # As that of a clock before 2025.
        document = state.encode()
        return Store(state_key(FLEET), 0, document, flags=crc32(document))

    def _sever(self) -> None:
        chance, processes = self.chance, sorted({task.process.name for task in self.tasks})
        if any(until > self.now for until in self.severed.values()):
            return
        if chance.random() < self.faults.split:
            until = self.now + 0.5 + chance.random() * 3
            here = {name for name in (*processes, *self.nodes) if chance.random() < 0.5}
            pairs = {(p, n) for p in processes for n in self.nodes if (p in here) != (n in here)}
            self.say(f"split until {until:.3f}: {sorted(here)} can't reach the rest")
            self.severed = dict.fromkeys(pairs, until)
        elif chance.random() < self.faults.cut:
            node = self.victim if chance.random() < 0.7 else chance.choice(sorted(self.nodes))
            pair = chance.choice(processes), node
            self.severed = {pair: self.now + 0.5 + chance.random() * 3}
            self.say(f"{pair[0]} can't reach {pair[1]} until {self.severed[pair]:.3f}")
