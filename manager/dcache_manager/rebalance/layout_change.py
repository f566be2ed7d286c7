"""What a resize should lead to: the running layout with changes, or the LOCATION of the project."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from django_dcache.model.topology import Layout, Node, Topology

    from ..inspection.target import Target
    from .plan import Plan


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes to a layout, as they were typed."""

    add: Sequence[str] = ()
    """[NAME=]HOST:PORT"""
    remove: Sequence[str] = ()
    """names or addresses"""
    weights: Sequence[str] = ()
    """NAME=W"""
    replicas: int | None = None
    zone: str = ""
    """of what is added"""
    weight: int = 1
    """of what is added"""
    strict: bool = False
    """A node to be removed must be there: a name mistyped must not look like a node that is gone."""
    answering: bool = False
    """A node to be removed must answer: its keys are to be moved, not lost."""

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.weights or self.replicas)


def layout_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--add, --remove, --weight and --replicas, which the command gets as `edits`."""

    @click.option("--add", multiple=True, metavar="[NAME=]HOST:PORT", help="A node that joins. Repeatable.")
    @click.option("--remove", multiple=True, metavar="NODE", help="A node that leaves, by name or address. Repeatable.")
    @click.option("--weight", "weights", multiple=True, metavar="NODE=W", help="A node's new weight. Repeatable.")
    @click.option("--replicas", type=click.IntRange(1, 9), metavar="N", help="How many nodes hold each key.")
    @wraps(command)
    def wrapped(*arguments: Any, add: Any, remove: Any, weights: Any, replicas: Any, **rest: Any) -> Any:
        return command(*arguments, edits=Edits(add, remove, weights, replicas), **rest)

    return wrapped


def wanted(target: "Target", topology: "Topology", edits: Edits, note: Callable[[str], None]) -> "Layout":
    """The layout asked for. Raises ConfigurationError or InvalidTopology, whose text says what to write instead."""
    from django_dcache.errors import ConfigurationError

    from .plan import edit

    if edits:
        base = topology.layouts[-1]
        leaving = [name for node in edits.remove if (name := _leaving(topology, node, edits.strict, note))]
        weights = dict(_weight(base, entry) for entry in edits.weights)
        return edit(base, [_node(entry, edits) for entry in edits.add], leaving, weights, edits.replicas)
    if target.wanted is None:
        raise ConfigurationError("nothing to compare with; say what to change (--add, --remove, …) or give --settings")
    running = {node.address: node.name for node in topology.layouts[-1].nodes}
    for node in target.wanted.nodes:
        if running.get(node.address, node.name) != node.name:
            name = running[node.address]
            raise ConfigurationError(f"LOCATION calls {node.address} {node.name!r}, the fleet calls it {name!r}")
    return target.wanted


def planned(target: "Target", topology: "Topology", edits: Edits, note: Callable[[str], None]) -> "Plan":
    """The plan to what is asked for; if nothing else is, that of the resize under way."""
    from .plan import Plan, plan

    if topology.target and not edits and target.wanted in (None, topology.target):
        return Plan(topology.epoch, topology.layout, topology.target)
    return plan(topology, wanted(target, topology, edits, note))


def _node(entry: str, edits: Edits) -> "Node":
    from django_dcache.model.topology import Node

    name, equals, address = entry.partition("=")
    return Node.at(address if equals else entry, name if equals else "", edits.weight, edits.zone)


def _weight(layout: "Layout", entry: str) -> tuple[str, int]:
    node, _, number = entry.rpartition("=")
    if not node or not number.isdecimal():
        raise click.UsageError(f"--weight {entry}: want NODE=W")
    return name_of(layout, node) or node, int(number)


def _leaving(topology: "Topology", node: str, strict: bool, note: Callable[[str], None]) -> str | None:
    """The name of a node to be removed; None if it is gone, or on its way out: then the wish is fulfilled."""
    from django_dcache.errors import InvalidTopology

    if name := name_of(topology.layouts[-1], node):
        return name
    if not name_of(topology.layout, node):
        text = f"there is no node {node!r} to remove; there are {', '.join(topology.nodes)}"
        if strict:
            raise InvalidTopology(text)
        note(text)
    return None


def name_of(layout: "Layout", text: str) -> str | None:
    """The name of the node with this name or this address."""

    for node in layout.nodes:
        if text in (node.name, node.address) or f"{text}:11211" == node.address:
            return node.name
    return None
