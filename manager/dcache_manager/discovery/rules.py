"""How a fleet follows what a source says, decided in one place. Pure: what was read and what answers are arguments.

An empty answer counts for nothing, an answer counts once several reads in a row were equal, and only a part of the
nodes leaves or moves at once. A name that stays with a new address is a node that moved, not one that left.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from django_dcache.model.topology import Layout, Node

from .answer import Answer


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site has chosen."""

    reads: int = 3
    """How many reads in a row must be equal."""
    part: float = 0.25
    """Of the nodes that may leave or move at once; one always may."""


class Decision(NamedTuple):
    layout: Layout | None
    """What to make of the fleet now; None: nothing."""
    waits: list[str]
    """What is not done yet and why, a sentence each."""


def confirmed(answers: Sequence[Answer], reads: int) -> Answer | None:
    """The answer that the last `reads` reads agree on; None: there is none, or it is empty."""
    last = answers[-reads:]
    return last[-1] if len(last) == reads and len(set(last)) == 1 and last[-1] else None


def wanted(running: Layout, said: Answer, ejected: Collection[str] = ()) -> Layout:
    """The layout that `said` means for a fleet. `ejected`: nodes that no operator took out of service.

    Raises InvalidTopology.
    """
    known = {node.name: node for node in running.nodes}
    names = {node.address: node.name for node in running.nodes}
    named = {found.name for found in said}
    nodes = {}
    for found in said:
        name, here = found.name, names.get(found.address, "")
        if name not in known and here and here not in named:
            name = here  # The fleet knows this address under a name that the source does not know.
        old = known.get(name)
        if old is None:
            nodes[found.address] = replace(found.node(), name=name or found.node().name)
            continue
        # A node that the processes gave up at its old address is in service at the new one.
        out = old.out and not (old.address != found.address and name in ejected)
        weight = old.weight if found.weight is None else found.weight
        zone = old.zone if found.zone is None else found.zone
        nodes[found.address] = Node(name, found.address, weight, zone, out)
    order = list(known)
    order += [node.name for node in nodes.values() if node.name not in known]
    return replace(running, nodes=tuple(sorted(nodes.values(), key=lambda node: order.index(node.name))))


def strangers(running: Layout, goal: Layout) -> list[Node]:
    """The nodes of `goal` that have to answer before they are let in: none is known at this address."""
    addresses = {node.name: node.address for node in running.nodes}
    return [node for node in goal.nodes if addresses.get(node.name) != node.address]


def decide(
    running: Layout, goal: Layout, rules: Rules, silent: Collection[str] = (), only_repairs: str = ""
) -> Decision:
    """The next step from `running` to `goal`, and why it is not the whole way.

    `silent`: names of strangers that do not answer. `only_repairs`: the reason why nothing may change now but the
    address of nodes that are out of service anyway.
    """
    step = _Step(running, goal, rules, silent, only_repairs)
    elsewhere = {node.name for node in strangers(running, goal)} & step.old.keys()
    for node in goal.nodes:
        if node.name not in elsewhere and node != step.old.get(node.name):
            step.join(node)
    for node in sorted((node for node in goal.nodes if node.name in elsewhere), key=step.serves):
        step.move(node)
    for name in step.old:
        if goal.node(name) is None:
            step.leave(name)
    return step.decision()


class _Step:
    """A step while it is decided: the nodes that there will be, and what the others wait for."""

    def __init__(self, running: Layout, goal: Layout, rules: Rules, silent: Collection[str], only_repairs: str):
        self._running, self._silent, self._only_repairs = running, silent, only_repairs
        self.old = {node.name: node for node in running.nodes}
        self._new = dict(self.old)
        self._owners = {node.address: node.name for node in running.nodes}
        self._claimed = {node.address for node in strangers(running, goal)}
        self._least = min(len(running.nodes), len(goal.nodes))
        self._limit = max(1, int(len(self.old) * rules.part))
        self._gone = self._live = 0
        self._blocked: list[str] = []
        self._waits: dict[str, list[str]] = {}

    def serves(self, node: Node) -> bool:
        """Whether it is in service, at the address that it has now."""
        return not self.old[node.name].out

    def join(self, node: Node) -> None:
        """A node that is new, or gets another weight or zone."""
        if self._only_repairs:
            self._wait(node.name, self._only_repairs)
        elif not self._hindered(node):
            self._new[node.name] = node

    def move(self, node: Node) -> None:
        """A node with another address. Of those in service one copy of each key stays where it is."""
        live = self.serves(node)
        if live and self._only_repairs:
            self._wait(node.name, self._only_repairs)
        elif self._hindered(node):
            self._blocked += [node.name] if node.address in self._owners and node.name not in self._silent else []
        elif live and self._live >= max(1, self._running.replicas - 1):
            self._wait(node.name, "moves once the others have: a copy of each key stays where it is")
        elif self._gone >= self._limit:
            self._wait(node.name, self._slowly)
        else:
            self._new[node.name] = node
            self._gone += 1
            self._live += live

    def leave(self, name: str) -> None:
        """A node that is no longer named. One whose address is another's by now does not wait for those that come."""
        if self._only_repairs:
            self._wait(name, self._only_repairs)
        elif len(self._new) <= self._least and self.old[name].address not in self._claimed:
            self._wait(name, "stays until those answer that take its place")
        elif self._gone >= self._limit or len(self._new) == 1:
            self._wait(name, self._slowly)
        else:
            del self._new[name]
            self._gone += 1

    def decision(self) -> Decision:
        if self._new == self.old and self._blocked and len(self.old) > 1 and not self._only_repairs:
            del self._new[self._blocked[0]]  # Nodes swapped addresses: one leaves, and joins when its place is free.
        waits = [f"{', '.join(nodes)}: {reason}" for reason, nodes in self._waits.items()]
        nodes = tuple(self._new.values())
        return Decision(None if self._new == self.old else replace(self._running, nodes=nodes), waits)

    def _hindered(self, node: Node) -> bool:
        owner = self._owners.get(node.address, node.name)
        if node.name in self._silent:
            self._wait(f"{node.name} ({node.address})", "does not answer, or can't be used")
        elif owner != node.name:
            self._wait(node.name, f"{owner} has its address still")
        return node.name in self._silent or owner != node.name

    @property
    def _slowly(self) -> str:
        return f"at most {self._limit} of {len(self.old)} nodes may leave or move at once"

    def _wait(self, node: str, reason: str) -> None:
        self._waits.setdefault(reason, []).append(node)
