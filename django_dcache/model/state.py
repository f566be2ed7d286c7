"""The fleet state: what every process must agree on, as a value that merges by maximum.

Each keeper holds one copy of this document under one reserved key. Everything in it only grows, so any copies can be
merged in any order: what a majority was told, a majority will tell.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from ..errors import InvalidTopology, UnknownFormat
from .generations import NONE, WHOLE_NODE, Generations
from .keys import RESERVED
from .owner import OWNER, PLACE, USER, Owner, oldest_sites
from .planting import MAP, PLANTED_SLOT
from .topology import FORMATS, Topology, strict

MAX_GENERATION = 10**7
"""Far more than lost writes make, and a tenth of what the wire key has room for: past it only a forger leads."""
MAX_COUNT = 2**53
"""A note may be a time, and a prefix may be invalidated many times a second for years."""
MAX_PREFIXES = 256
"""Made prefixes whose generation the state holds: they stay in it for ever."""
Slot = tuple[str, int]
"""(node name, slot number)"""
# What is no node's is kept under names that no node can have, so that it is merged, proven and carried along by older
# releases like any node's generations (docs/adr/0010, 0016).
_PREFIX, _SETTLED, _NOTES, _DROPPED, _ADOPTED = " ", "=", "!", "=", "^"
_STAYS = (_PREFIX, _SETTLED + _PREFIX, OWNER, PLACE, USER, _ADOPTED, MAP)


def prefix_slot(made_prefix: str) -> Slot:
    """Where the generation of a made prefix is kept."""
    return _PREFIX + made_prefix, 0


def is_prefix(node: str) -> bool:
    """Whether the generation of a prefix is kept under this name."""
    return node.startswith(_PREFIX)


def settled_slot(node: str, slot: int) -> Slot:
    """Where it is kept up to which generation a slot has settled: no process can hold an older one any more."""
    return _SETTLED + node, slot


class Note(IntEnum):
    """What the processes of a fleet tell each other about a node (healing.py): numbers that only rise."""

    ACCUSED = 0
    """How often a process found that the node does not answer."""
    REFUTED = 1
    """The last accusation that another process refuted, or that was decided."""
    EJECTED = 2
    """The node's generation when the processes took it out of service by themselves."""
    SERIES = 3
    """When that was, in minutes, and how often in a row (healing.py)."""
    OUT = 4
    """The node's generation when it was taken out of service, by an operator or by the processes."""
    RETURNED = 5
    """How often it came back with what it held before, and in which incarnation (returned.py)."""


def note_slot(node: str, note: Note) -> Slot:
    """Where it is kept."""
    return _NOTES + node, int(note)


DROPPED_SLOT = (_DROPPED, WHOLE_NODE)
"""Where the highest generation of all nodes that left the fleet is kept, instead of theirs."""
ADOPTED_SLOT = (_ADOPTED, WHOLE_NODE)
"""Where it is kept that no classic client uses the nodes any more."""


@dataclass(frozen=True, slots=True)
class Control:
    """What an operator last asked of the conductor: "run", "pause" or "cancel"; the higher serial wins."""

    serial: int = 0
    wish: str = "run"


@dataclass(frozen=True, slots=True)
class FleetState:
    topology: Topology
    generations: dict[str, Generations] = field(default_factory=dict)
    fence: int = 0
    """The token of the newest conductor; an older one may not publish any more."""
    control: Control = Control()

    def generation(self, node: str, slot: int) -> int:
        found = self.generations.get(node)
        return found.of(slot) if found else 0

    def highest(self, node: str) -> int:
        """The highest generation of any of its slots."""
        return self.generations.get(node, NONE).highest

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The made prefixes that were ever bumped."""
        return tuple(node[1:] for node in self.generations if node.startswith(_PREFIX))

    def note(self, node: str, note: Note) -> int:
        return self.generation(*note_slot(node, note))

    @property
    def accused(self) -> dict[str, int]:
        """The nodes with an accusation that is neither refuted nor decided, and its number."""
        nodes = [name[1:] for name in self.generations if name.startswith(_NOTES)]
        numbers = {node: self.note(node, Note.ACCUSED) for node in nodes}
        return {node: number for node, number in numbers.items() if number > self.note(node, Note.REFUTED)}

    def ejected(self, node: str) -> bool:
        """Whether the processes took this node out by themselves, and no operator has changed that since."""
        out = any(node in layout.out for layout in self.topology.layouts)
        return out and self.note(node, Note.EJECTED) == self.generation(node, WHOLE_NODE) > 0

    @property
    def adopted(self) -> bool:
        """Whether it was said that no classic client uses the nodes any more (docs/adr/0040)."""
        return self.generation(*ADOPTED_SLOT) > 0

    @property
    def planted(self) -> int:
        """When this map was planted (planting.py)."""
        return self.generation(*PLANTED_SLOT)

    @property
    def marks(self) -> frozenset[str]:
        """By what it is known whose fleet this is (owner.py); empty: it never said."""
        return frozenset(name for name in self.generations if name.startswith((OWNER, PLACE, USER)))

    def owned_by(self, owner: Owner, minutes: int = 0) -> "FleetState":
        """With the marks of `owner` that it lacks; those of its site only if `minutes` says when they are made."""
        new = [mark for mark in owner.present() if mark not in self.generations and (minutes or mark in owner.keys)]
        return self.bumped({(mark, WHOLE_NODE): minutes or 1 for mark in new})

    def keeps(self, node: str) -> bool:
        """Whether generations of `node`, which may stand for a prefix, are kept: those of nodes that left are not."""
        return node in self.topology.nodes or not _is_node(node)

    @property
    def leavers(self) -> int:
        """How many generations it has of nodes that left; the next merge drops them."""
        return len(self.generations.keys() - _without_leavers(self.generations, self.topology).keys())

    def settled(self, node: str, slot: int) -> bool:
        """Whether no process can hold an older generation of this slot than this state does."""
        return self.generation(node, slot) <= self.generation(*settled_slot(node, slot))

    def unsettled(self) -> Iterator[Slot]:
        """What was bumped, as far as it is not known that no process can hold an older one; prefixes left out."""
        for node, generations in self.generations.items():
            if _is_node(node) and generations != self.generations.get(_SETTLED + node):
                slots = [WHOLE_NODE, *generations.above]
                yield from ((node, slot) for slot in slots if not self.settled(node, slot))

    def merge(self, other: "FleetState") -> "FleetState":
        """The maximum of both; of topologies of one epoch the newer conductor's, of two maps the later one's."""
        if self == other:
            return self
        names = self.generations.keys() | other.generations.keys()
        latest = max(self.planted, other.planted)
        both = [state for state in (self, other) if state.planted == latest]
        topology = max((state.topology for state in both), key=_rank)
        merged = {n: self.generations.get(n, NONE).merge(other.generations.get(n, NONE)) for n in sorted(names)}
        return FleetState(
            topology,
            _without_leavers(merged, topology),
            max(self.fence, other.fence),
            max((state.control for state in both), key=lambda control: (control.serial, control.wish)),
        )

    def bumped(self, wanted: dict[tuple[str, int], int]) -> "FleetState":
        """With at least the wanted generation in each (node, slot)."""
        generations = dict(self.generations)
        for (node, slot), value in wanted.items():
            generations[node] = generations.get(node, NONE).at_least(slot, value)
        return replace(self, generations=generations)

    def bumped_whole(self, node: str) -> "FleetState":
        """With every slot of `node` new: nothing it holds can be read any more."""
        bumped = self.generations.get(node, NONE).bump_all(self.generation(*DROPPED_SLOT) + 1)
        return replace(self, generations=self.generations | {node: bumped})

    def taken_out(self, node: str) -> "FleetState":
        """For a topology in which `node` is out: what it holds is given up. What stands in for it is known by its
        generation, which has to stay until it is back."""
        state = self.bumped_whole(node)
        return state.bumped({note_slot(node, Note.OUT): state.generation(node, WHOLE_NODE)})

    def moved(self, node: str) -> "FleetState":
        """For a topology in which `node` has another address: as for one that leaves and one that joins. What lies at
        the old address can't be found again, whichever node that server is next."""
        return self.bumped({DROPPED_SLOT: self.highest(node)}).taken_out(node)

    def empty(self, node: str) -> bool:
        """Whether `node` was taken out, and no process can have stored anything on it in its present generation."""
        return self.note(node, Note.OUT) == self.generation(node, WHOLE_NODE) > 0

    def encode(self) -> bytes:
        document = {
            "format": self.topology.format,
            "topology": self.topology.to_json(),
            "generations": {node: generations.to_json() for node, generations in sorted(self.generations.items())},
            "fence": self.fence,
            "control": {"serial": self.control.serial, "wish": self.control.wish},
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> "FleetState":
        """The state in a keeper's document. Raises InvalidTopology for anything else: a keeper is hostile input."""
        try:
            document = json.loads(data, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise InvalidTopology("the fleet state is not JSON") from None
        fields = {"format": int, "topology": dict, "generations": dict, "fence": int, "control": dict}
        if isinstance(document, dict) and document.get("format", FORMATS[0]) not in FORMATS:
            known = ", ".join(map(str, FORMATS))
            raise UnknownFormat(f"format {document['format']!r:.40}, this release knows {known}")
        want = strict(document, fields)
        control = strict(want["control"], {"serial": int, "wish": str})
        if not (0 <= want["fence"] < 2**53 and 0 <= control["serial"] < 2**53):
            raise InvalidTopology("a fence or a serial out of range")
        if control["wish"] not in ("run", "pause", "cancel"):
            raise InvalidTopology(f"unknown wish {control['wish']!r}")
        generations = {node: Generations.from_json(entry, _limit(node)) for node, entry in want["generations"].items()}
        return cls(Topology.from_json(want["topology"]), generations, want["fence"], Control(**control))


def _is_node(name: str) -> bool:
    return name[:1] not in (_PREFIX, _SETTLED, _NOTES, OWNER, PLACE, USER, _ADOPTED, MAP)


def _without_leavers(generations: dict[str, Generations], topology: Topology) -> dict[str, Generations]:
    """Of nodes that left, one number stays: should one of them join again, its generations begin above it."""
    nodes, old = topology.nodes, oldest_sites((name, found.floor) for name, found in generations.items())
    generations = {n: g for n, g in generations.items() if n not in old} if old else generations
    kept = {
        n: g
        for n, g in generations.items()
        if n.startswith(_STAYS) or n == _DROPPED or n.lstrip(_SETTLED + _NOTES) in nodes
    }
    highest = max((g.highest for n, g in generations.items() if n not in kept and _is_node(n)), default=0)
    if highest:
        kept[_DROPPED] = kept.get(_DROPPED, NONE).merge(Generations(highest))
    return dict(sorted(kept.items())) if len(kept) < len(generations) else generations


def _limit(node: str) -> int:
    return MAX_COUNT if node.startswith((_PREFIX, _SETTLED + _PREFIX, _NOTES, MAP)) else MAX_GENERATION


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(document := dict(pairs)) != len(pairs):
        raise InvalidTopology("a field that occurs twice")
    return document


def _rank(topology: Topology) -> tuple[int, int, str]:
    # The last part decides only between fleets planted at the same moment from different settings.
    return topology.epoch, topology.fence, json.dumps(topology.to_json(), sort_keys=True)


def state_key(fleet: str) -> bytes:
    """The reserved key of the document on every keeper."""
    return RESERVED + fleet.encode() + b":state"


def trace_key(fleet: str) -> bytes:
    """The reserved key of what says that there was a map, and how high its generations were: so small that a neighbour
    who evicts the map leaves it."""
    return RESERVED + fleet.encode() + b":trace"


def conductor_key(fleet: str) -> bytes:
    """The reserved key of the conductor's lease on every keeper."""
    return RESERVED + fleet.encode() + b":conductor"


def progress_key(fleet: str) -> bytes:
    """The reserved key of the running resize's last report."""
    return RESERVED + fleet.encode() + b":progress"


_MARK = b":incarnation"


def mark_key(fleet: str) -> bytes:
    """The reserved key on every node by which it is known whether its items are of this run of its process."""
    return RESERVED + fleet.encode() + _MARK


def is_mark_key(key: bytes) -> bool:
    """Whether it is that of any fleet."""
    return key.startswith(RESERVED) and key.endswith(_MARK)
