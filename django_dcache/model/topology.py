"""The fleet as a value: nodes, how keys are spread over them, and how far a resize has come.

A topology is frozen, numbered by `epoch` (which only grows) and swapped whole; a bad document changes nothing.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..errors import InvalidTopology
from . import addresses

KEEPERS = 5
MAX_NODES = 1000
MAX_WEIGHT = 100
MAX_TOTAL_WEIGHT = 2000
"""Of the nodes of a layout: a process takes about a second to make a ring of that."""
FORMAT = 1
STAND_INS = 2
"""The format of a document in whose layouts some nodes stand in for others: an older release, which would neither read
nor delete there, must take it for one that it can't read."""
CLASSIC_RINGS = 4
"""The same where a ring is of a mode that came later. (3 is the envelope of a signed document.)"""
FORMATS = (FORMAT, STAND_INS, CLASSIC_RINGS)
WEIGHTED_MODES = ("ketama", "libmemcached")
RING_MODES = (*WEIGHTED_MODES, "ketama-unweighted", "rendezvous", "modula")

_name = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9._:/\[\]-]{0,99}").fullmatch


class Phase(StrEnum):
    """How far a resize has come (docs/explanation/protocol.md#the-four-phase-move).

    Every client must have seen a phase before the next one begins.
    """

    STABLE = "stable"
    PREPARE = "prepare"
    COPY = "copy"
    FLIP = "flip"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Node:
    """One server. Its identity is `name`; its `address`, as the fleet spells it (addresses.py), may change."""

    name: str
    address: str
    weight: int = 1
    zone: str = ""
    out: bool = False
    """Taken out of service: it keeps its place on the ring, and its share is served by the other replicas, or by a
    node that stands in where there is none (`stand_in`)."""

    @classmethod
    def at(cls, address: str, name: str = "", weight: int = 1, zone: str = "") -> "Node":
        """A node from an address as users write it; the name defaults to the address without what is usual in it."""
        parsed = addresses.parse(address)
        return cls(name or parsed.short, str(parsed), weight, zone)

    def __post_init__(self) -> None:
        # What is not refused here is planted on the keepers, where every process would refuse to read it.
        for attribute, kind in (("name", str), ("address", str), ("zone", str), ("out", bool)):
            if not isinstance(getattr(self, attribute), kind):
                raise InvalidTopology(f"a node's {attribute} is {getattr(self, attribute)!r}, want {kind.__name__}")
        # A unix socket's name is its path, which begins with a slash.
        if not _name(self.name.removeprefix("/")):
            raise InvalidTopology(f"{self.name!r} is no node name: letters, digits and ._:/[]- only")
        if str(addresses.parse(self.address)) != self.address:
            raise InvalidTopology(
                f"{self.address!r} is no address: want {addresses.FORMS}",
                node=self.name,
            )
        if type(self.weight) is not int or not 1 <= self.weight <= MAX_WEIGHT:
            raise InvalidTopology(f"weight {self.weight!r} is not a whole number from 1 to 100", node=self.name)

    @property
    def endpoints(self) -> list[addresses.Endpoint]:
        """What a socket connects to: a path, or (host, port); and what to instead where that fails."""
        return addresses.parse(self.address).endpoints

    @property
    def engine(self) -> str:
        """The name of its engine (engines/)."""
        return addresses.engine_name(self.address)


_STANDS_IN = ">"


def stand_in(out: Iterable[str], server: str) -> str:
    """The name under which `server` serves the share of nodes that are out of service. No node can have such a name:
    what it holds for them is told apart from its own keys by other generations (view.py)."""
    return _STANDS_IN.join((*out, server))


def server_of(name: str) -> str:
    """The node that is spoken to under this name: itself, unless it stands in for others."""
    return name.rpartition(_STANDS_IN)[2]


def absent_nodes(name: str) -> list[str]:
    """The nodes for which another stands in under this name; none for a node's own name."""
    return name.split(_STANDS_IN)[:-1]


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to spread keys: the nodes, how many replicas each key has, and the ring's mode."""

    nodes: tuple[Node, ...]
    replicas: int = 1
    ring: str = "ketama"

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InvalidTopology("a fleet needs at least one node")
        if len(self.nodes) > MAX_NODES:
            raise InvalidTopology(f"{len(self.nodes)} nodes; the limit is {MAX_NODES}")
        if (total := sum(node.weight for node in self.nodes)) > MAX_TOTAL_WEIGHT:
            raise InvalidTopology(f"the nodes' weights are {total} in all; the limit is {MAX_TOTAL_WEIGHT}")
        for attribute in ("name", "address"):
            seen = [getattr(node, attribute) for node in self.nodes]
            if twice := sorted({value for value in seen if seen.count(value) > 1}):
                raise InvalidTopology(f"two nodes share the {attribute} {', '.join(twice)}")
        if len(self.engines) > 1:
            raise InvalidTopology(f"all nodes of a fleet are of one engine, and these are {', '.join(self.engines)}")
        if type(self.replicas) is not int or not 1 <= self.replicas <= 9:
            raise InvalidTopology(f"replicas is {self.replicas!r}, want a whole number from 1 to 9")
        if self.ring not in RING_MODES:
            raise InvalidTopology(f"ring mode {self.ring!r} is unknown; choose one of {', '.join(RING_MODES)}")
        if self.ring not in WEIGHTED_MODES and total > len(self.nodes):
            raise InvalidTopology(f"ring mode {self.ring!r} knows no weights; leave them out")

    @property
    def engines(self) -> list[str]:
        """What its nodes run on: one, in every layout there is."""
        return sorted({addresses.runs_on(node.address) for node in self.nodes})

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.name == name), None)

    @property
    def out(self) -> frozenset[str]:
        """The names of the nodes that are out of service."""
        return frozenset(node.name for node in self.nodes if node.out)

    def without(self, out: Collection[str]) -> "Layout":
        """The same layout with just these nodes out of service."""
        return replace(self, nodes=tuple(replace(node, out=node.name in out) for node in self.nodes))


@dataclass(frozen=True, slots=True)
class Topology:
    """What runs now. In phase stable `layout` is all there is; otherwise keys are moving from `layout` to `target`."""

    epoch: int
    layout: Layout
    phase: Phase = Phase.STABLE
    target: Layout | None = None
    fence: int = 0
    """The fencing token of the conductor that published this."""

    def __post_init__(self) -> None:
        # Epoch 0 is a topology from settings that no keeper has seen yet.
        if type(self.epoch) is not int or not 0 <= self.epoch < 2**53:
            raise InvalidTopology(f"epoch {self.epoch!r} is not a whole number")
        if type(self.fence) is not int or not 0 <= self.fence < 2**53:
            raise InvalidTopology(f"fence {self.fence!r} is not a whole number")
        if (self.phase is Phase.STABLE) != (self.target is None):
            raise InvalidTopology(f"phase {self.phase} {'has' if self.target else 'lacks'} a target layout")
        if self.target:
            old = {node.name: node.address for node in self.layout.nodes}
            moved = [n.name for n in self.target.nodes if old.get(n.name, n.address) != n.address]
            if moved:
                raise InvalidTopology(f"{', '.join(moved)} has two addresses at once")
            if self.target.engines != self.layout.engines:
                wanted, runs = *self.target.engines, *self.layout.engines
                raise InvalidTopology(f"the fleet runs on {runs}, and can't be resized to nodes of {wanted}")

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return (self.layout, self.target) if self.target else (self.layout,)

    @property
    def nodes(self) -> dict[str, Node]:
        """Every node that may be spoken to, by name."""
        return {node.name: node for layout in self.layouts for node in layout.nodes}

    @property
    def keepers(self) -> tuple[tuple[str, ...], ...]:
        """The names of the nodes that hold the fleet state: one group a layout, each of which needs its majority."""
        return tuple(tuple(node.name for node in layout.nodes if not node.out)[:KEEPERS] for layout in self.layouts)

    @property
    def all_keepers(self) -> frozenset[str]:
        """Those of every group."""
        return frozenset(name for group in self.keepers for name in group)

    @property
    def needed(self) -> tuple[int, ...]:
        """How many of each group of keepers make a majority. Of fleets of one or two nodes, and of the last keeper that
        is left, one is enough."""
        groups = zip(self.layouts, self.keepers, strict=True)
        return tuple(1 if len(layout.nodes) <= 2 else len(group) // 2 + 1 for layout, group in groups)

    @property
    def format(self) -> int:
        """The format of documents of it, by which older releases know what they can't read."""
        if any(layout.ring not in WEIGHTED_MODES for layout in self.layouts):
            return CLASSIC_RINGS
        stand_ins = any(len(layout.out) >= min(layout.replicas, len(layout.nodes)) for layout in self.layouts)
        return STAND_INS if stand_ins else FORMAT

    def step(self, phase: Phase, fence: int = 0) -> "Topology":
        """The next epoch, one phase on or back. Settle is followed by stable with the target as the layout."""
        if phase is Phase.STABLE:
            layout = self.target if self.phase is Phase.SETTLE and self.target else self.layout
            return Topology(self.epoch + 1, layout, fence=fence)
        return replace(self, epoch=self.epoch + 1, phase=phase, fence=fence)

    def served_by(self, layout: Layout, fence: int = 0) -> "Topology":
        """The next epoch, stable, with `layout` at once: for changes that move no key, such as taking a node out."""
        return Topology(self.epoch + 1, layout, fence=fence)

    def begin(self, target: Layout, fence: int = 0) -> "Topology":
        """The next epoch, in which keys begin to move to `target`. A node that changes its address is out of service
        from this moment on, and joins at the new one."""
        moved = {node.name: node.address for node in self.moved(target)}
        nodes = tuple(
            replace(node, address=moved[node.name], out=True) if node.name in moved else node
            for node in self.layout.nodes
        )
        if moved and all(node.out for node in nodes):
            raise InvalidTopology(
                f"{', '.join(moved)} can't change its address: no other node is in service; let one join first"
            )
        return Topology(self.epoch + 1, replace(self.layout, nodes=nodes), Phase.PREPARE, target, fence)

    def moved(self, target: Layout) -> list[Node]:
        """The nodes of `target` that have another address in this topology."""
        known = self.nodes
        return [node for node in target.nodes if known.get(node.name, node).address != node.address]

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"epoch": self.epoch, "phase": str(self.phase), "fence": self.fence}
        document["layout"] = _layout_to_json(self.layout)
        if self.target:
            document["target"] = _layout_to_json(self.target)
        return document

    @classmethod
    def from_json(cls, document: Any) -> "Topology":
        """The topology in a parsed JSON document. Raises InvalidTopology, and never a partial one."""
        want = strict(document, {"epoch": int, "phase": str, "fence": int, "layout": dict}, {"target": dict})
        try:
            phase = Phase(want["phase"])
        except ValueError:
            raise InvalidTopology(f"unknown phase {want['phase']!r}") from None
        target = want.get("target")
        return cls(
            want["epoch"],
            _layout_from_json(want["layout"]),
            phase,
            _layout_from_json(target) if target is not None else None,
            want["fence"],
        )


def _layout_to_json(layout: Layout) -> dict[str, Any]:
    nodes = []
    for node in layout.nodes:
        entry: dict[str, Any] = {"name": node.name, "address": node.address, "weight": node.weight, "zone": node.zone}
        nodes.append(entry | {"out": True} if node.out else entry)
    return {"nodes": nodes, "replicas": layout.replicas, "ring": layout.ring}


def _layout_from_json(document: Any) -> Layout:
    want = strict(document, {"nodes": list, "replicas": int, "ring": str})
    fields = {"name": str, "address": str, "weight": int, "zone": str}
    nodes = tuple(Node(**strict(entry, fields, {"out": bool})) for entry in want["nodes"])
    return Layout(nodes, want["replicas"], want["ring"])


def strict(document: Any, required: dict[str, type], optional: dict[str, type] | None = None) -> dict[str, Any]:
    """`document` itself, once it is an object with just these fields of just these types. Raises InvalidTopology."""
    known = required | (optional or {})
    if not isinstance(document, dict):
        raise InvalidTopology(f"want an object with {', '.join(required)}, got {type(document).__name__}")
    if missing := required.keys() - document.keys():
        raise InvalidTopology(f"missing {', '.join(sorted(missing))}")
    if unknown := document.keys() - known.keys():
        raise InvalidTopology(f"unknown field {', '.join(sorted(map(str, unknown)))}")
    for key, value in document.items():
        if type(value) is not known[key]:
            raise InvalidTopology(f"{key} is {type(value).__name__}, want {known[key].__name__}")
    return document
