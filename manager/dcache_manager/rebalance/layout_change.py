"""What a resize should lead to: the running layout with changes, or the LOCATION of the project."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.model.topology import Layout, Node, Topology

from ..errors import NoProject, NoSuchNode
from ..inspection.target import Target
from ..spelling import meant
from .plan import Plan, edit, plan


@dataclass(frozen=True, slots=True)
class LayoutChange:
    """Changes to a layout. None at all: what LOCATION says. Nodes are meant by name or by address."""

    add: Sequence[str] = ()
    """[NAME=]HOST:PORT"""
    remove: Sequence[str] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    """Of nodes that are there, 1 to 100."""
    replicas: int | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where nodes that are there are from now on, HOST:PORT."""
    ring: str | None = None
    """How keys are placed from now on."""
    zone: str = ""
    """Of what is added."""
    weight: int = 1
    """Of what is added."""
    strict: bool = False
    """A node to be removed must be there: a name mistyped must not look like a node that is gone."""
    answering: bool = False
    """A node to be removed must answer: its keys are to be moved, not lost."""

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.weights or self.replicas or self.addresses or self.ring)


def desired_layout(target: Target, topology: Topology, change: LayoutChange, notify: Callable[[str], None]) -> Layout:
    """The layout asked for. Raises ConfigurationError or InvalidTopology, whose text says what to write instead."""
    if change:
        base = topology.layouts[-1]
        leaving = [name for node in change.remove if (name := _leaving(topology, node, change.strict, notify))]
        weights = {name_of(base, node) or node: weight for node, weight in change.weights.items()}
        elsewhere = {name_of(base, node) or node: Node.at(to).address for node, to in change.addresses.items()}
        added = [_node(entry, change) for entry in change.add]
        return edit(base, added, leaving, weights, change.replicas, elsewhere, change.ring)
    wanted = _wanted(target, topology)
    if wanted is None:
        raise NoProject("without LOCATION there is nothing to compare with; or say what to change (--add, --remove, …)")
    running = {node.address: node.name for node in topology.layouts[-1].nodes}
    for node in wanted.nodes:
        if running.get(node.address, node.name) != node.name:
            name = running[node.address]
            raise ConfigurationError(
                f"LOCATION calls {node.address} {node.name!r}, the fleet calls it {name!r}; use that name"
            )
    return wanted


def plan_change(target: Target, topology: Topology, change: LayoutChange, notify: Callable[[str], None]) -> Plan:
    """The plan to what is asked for; if nothing else is, that of the resize under way. Raises as `desired_layout`."""
    if topology.target and not change and _wanted(target, topology) in (None, topology.target):
        return Plan(topology.epoch, topology.layout, topology.target)
    return plan(topology, desired_layout(target, topology, change, notify))


def _wanted(target: Target, topology: Topology) -> Layout | None:
    """What LOCATION and OPTIONS say. With `coexist` these can say neither how keys are placed nor how often."""
    if target.wanted is None or not target.configuration.options.coexist:
        return target.wanted
    runs = topology.layouts[-1]
    return replace(target.wanted, ring=runs.ring, replicas=runs.replicas)


def name_of(layout: Layout, text: str) -> str | None:
    """The name of the node with this name or this address."""
    try:
        address = Node.at(text).address
    except InvalidTopology:
        address = text
    return next((node.name for node in layout.nodes if text == node.name or address == node.address), None)


def _node(entry: str, change: LayoutChange) -> Node:
    name, equals, address = entry.partition("=")
    return Node.at(address if equals else entry, name if equals else "", change.weight, change.zone)


def _leaving(topology: Topology, node: str, strict: bool, notify: Callable[[str], None]) -> str | None:
    """The name of a node to be removed; None if it is gone, or on its way out: then the wish is fulfilled."""
    if name := name_of(topology.layouts[-1], node):
        return name
    if not name_of(topology.layout, node):
        text = f"{node!r}; {meant(node, topology.nodes)}"
        if strict:
            raise NoSuchNode(text)
        notify(f"no node {text}")
    return None
