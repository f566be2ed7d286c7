"""What a resize would do, before anything is done: a printable, serialisable value. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django_dcache.errors import InvalidTopology
from django_dcache.model.placement import Replicas
from django_dcache.model.topology import Layout, Node, Topology

from ..errors import NoSuchNode
from ..spelling import meant

SAMPLE_POINTS = 4096
"""Points of the hash space at which the share that moves is measured: ±1.5 percentage points."""

SHORT = 300
"""The most characters of what a report says of the changes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """From the layout that runs to the one that is wanted."""

    epoch: int
    current: Layout
    desired: Layout

    @property
    def empty(self) -> bool:
        return self.current == self.desired

    @property
    def changes(self) -> list[str]:
        """What differs, a sentence each."""
        old = {node.name: node for node in self.current.nodes}
        new = {node.name: node for node in self.desired.nodes}
        lines = [f"add {name} ({node.address}, weight {node.weight})" for name, node in new.items() if name not in old]
        lines += [f"remove {name}" for name in old if name not in new]
        for name in (name for name in old if name in new):
            for what in ("weight", "zone", "address", "out"):
                before, after = getattr(old[name], what), getattr(new[name], what)
                if before != after:
                    lines.append(f"{name}: {what} {before!r} becomes {after!r}")
        for what in ("replicas", "ring"):
            before, after = getattr(self.current, what), getattr(self.desired, what)
            if before != after:
                lines.append(f"{what} {before!r} becomes {after!r}")
        if not lines and not self.empty:
            lines.append("the order of the nodes changes")
        return lines

    @property
    def moved_share(self) -> float:
        """The part of all copies (0 to 1) that has to be filled anew."""
        old, new = Replicas(self.current), Replicas(self.desired)
        elsewhere = {node.name for node in Topology(self.epoch, self.current).moved(self.desired)}
        moved = copies = 0
        for before, after in _samples(old, new):
            copies += len(after)
            moved += sum(name not in before or name in elsewhere for name in after)
        return moved / copies if copies else 0.0

    @property
    def per_node(self) -> list[dict[str, Any]]:
        """Each node's share of the hash space as owner, before and after."""
        before, after = Replicas(self.current).ring.share(), Replicas(self.desired).ring.share()
        names = list(dict.fromkeys([*before, *after]))
        return [
            {"name": name, "owns_before": before.get(name, 0.0), "owns_after": after.get(name, 0.0)} for name in names
        ]

    def to_json(self) -> dict[str, Any]:
        target = Topology(self.epoch, self.desired).to_json()["layout"]
        return {
            "epoch": self.epoch,
            "changes": self.changes,
            "moved_share": self.moved_share,
            "nodes": self.per_node,
            "target": target,
        }


def plan(topology: Topology, desired: Layout) -> Plan:
    """The plan from what runs (or, while keys are moving, from where they are moving to) to `desired`."""
    return Plan(topology.epoch, topology.layouts[-1], desired)


def changes_in_short(topology: Topology, desired: Layout) -> str:
    """What differs from the layout before a resize to `desired`, or to the one that is under way, in one line."""
    text = "; ".join(Plan(topology.epoch, topology.layout, topology.target or desired).changes)
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


def edit(
    layout: Layout,
    add: Iterable[Node] = (),
    remove: Iterable[str] = (),
    weights: Mapping[str, int] | None = None,
    replicas: int | None = None,
    addresses: Mapping[str, str] | None = None,
    ring: str | None = None,
) -> Layout:
    """`layout` with these changes. What is already so stays so; an unknown node is an InvalidTopology. A node that gets
    another address is in service there."""
    nodes = {node.name: node for node in layout.nodes}
    for name in sorted({*remove, *(weights or {}), *(addresses or {})} - nodes.keys()):
        raise NoSuchNode(f"{name!r}; {meant(name, nodes)}")
    for node in add:
        known = nodes.setdefault(node.name, node)
        if known.address != node.address:
            raise InvalidTopology(f"node {node.name!r} has the address {known.address}; `node address` changes it")
    for name, address in (addresses or {}).items():
        if nodes[name].address != address:
            nodes[name] = replace(nodes[name], address=address, out=False)
    for name, weight in (weights or {}).items():
        nodes[name] = replace(nodes[name], weight=weight)
    for name in remove:
        del nodes[name]
    return Layout(tuple(nodes.values()), replicas or layout.replicas, ring or layout.ring)


def with_out(layout: Layout, name: str, out: bool) -> Layout:
    """`layout` with one node in or out of service. Raises InvalidTopology."""
    if layout.node(name) is None:
        raise NoSuchNode(f"{name!r}; {meant(name, [node.name for node in layout.nodes])}")
    nodes = tuple(replace(node, out=out) if node.name == name else node for node in layout.nodes)
    if all(node.out for node in nodes):
        raise InvalidTopology(f"{name!r} is the last node in service; bring another one back first")
    return replace(layout, nodes=nodes)


def _samples(*layouts: Replicas) -> Iterable[tuple[tuple[str, ...], ...]]:
    """The replicas of many keys by each of these."""
    if any(replicas.ring.choose for replicas in layouts):
        names = [b"%d" % number for number in range(SAMPLE_POINTS)]
        return [tuple(replicas.of(replicas.position(name).point) for replicas in layouts) for name in names]
    points = range(2**32 // (2 * SAMPLE_POINTS), 2**32, 2**32 // SAMPLE_POINTS)
    return [tuple(replicas.of(point) for replicas in layouts) for point in points]
