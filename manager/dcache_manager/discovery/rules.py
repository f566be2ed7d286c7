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
    old = {node.name: node for node in running.nodes}
    new, reasons = dict(old), dict[str, list[str]]()
    addresses = {node.address: node.name for node in running.nodes}
    limit, gone = max(1, int(len(old) * rules.part)), 0
    newcomers = [node for node in goal.nodes if node.name not in old]
    movers = [node for node in strangers(running, goal) if node.name in old]
    leaving = [name for name in old if goal.node(name) is None]
    slowly = f"at most {limit} of {len(old)} nodes may leave or move at once"
    blocked = []

    def wait(node: str, reason: str) -> None:
        reasons.setdefault(reason, []).append(node)

    for node in goal.nodes:
        if node in newcomers or (node.name in old and node not in movers and node != old[node.name]):
            if only_repairs:
                wait(node.name, only_repairs)
            elif node.name in silent:
                wait(f"{node.name} ({node.address})", "does not answer yet")
            elif addresses.get(node.address, node.name) != node.name:
                wait(node.name, f"{addresses[node.address]} has its address still")
            else:
                new[node.name] = node
    for node in sorted(movers, key=lambda node: not old[node.name].out):
        if only_repairs and not old[node.name].out:
            wait(node.name, only_repairs)
        elif node.name in silent:
            wait(f"{node.name} ({node.address})", "does not answer yet")
        elif node.address in addresses:
            blocked.append(node.name)
            wait(node.name, f"{addresses[node.address]} has its address still")
        elif gone >= limit:
            wait(node.name, slowly)
        else:
            new[node.name], gone = node, gone + 1
    for name in leaving:
        if only_repairs:
            wait(name, only_repairs)
        elif len(new) <= min(len(old), len(goal.nodes)):
            wait(name, "stays until those answer that take its place")
        elif gone >= limit:
            wait(name, slowly)
        else:
            del new[name]
            gone += 1
    if new == old and blocked and len(old) > 1:
        del new[blocked[0]]  # Nodes that swapped addresses: one leaves, and joins again when its place is free.
    waits = [f"{', '.join(nodes)}: {reason}" for reason, nodes in reasons.items()]
    return Decision(None if new == old else replace(running, nodes=tuple(new.values())), waits)
