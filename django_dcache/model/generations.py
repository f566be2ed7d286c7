"""The generations of a node's slots. One rises when a write is lost: what its slot holds is out of reach then.

They merge by maximum, so it does not matter in which order, or how often, a process learns of them.
"""

from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidTopology
from .keys import SLOTS
from .topology import strict

WHOLE_NODE = -1
"""In place of a slot number: every slot of the node."""
_slots = frozenset(map(str, range(SLOTS)))


@dataclass(frozen=True, slots=True)
class Generations:
    """The generations of one node's slots: `floor` for all of them, `above` for those bumped since."""

    floor: int = 0
    above: dict[int, int] = field(default_factory=dict)

    def of(self, slot: int) -> int:
        """Of one slot; of `WHOLE_NODE`, the floor."""
        return self.above.get(slot, self.floor)

    @property
    def highest(self) -> int:
        return max([self.floor, *self.above.values()])

    @property
    def total(self) -> int:
        """Of all slots, added up: grows with each bump, whichever slot it is of."""
        return self.floor * (SLOTS - len(self.above)) + sum(self.above.values())

    def merge(self, other: "Generations") -> "Generations":
        floor = max(self.floor, other.floor)
        slots = self.above.keys() | other.above.keys()
        above = {slot: max(self.of(slot), other.of(slot)) for slot in slots}
        if len(above) == SLOTS:
            floor = max(floor, min(above.values()))
        return Generations(floor, {slot: value for slot, value in above.items() if value > floor})

    def at_least(self, slot: int, value: int) -> "Generations":
        return self.merge(Generations(value) if slot == WHOLE_NODE else Generations(0, {slot: value}))

    def bump_all(self, at_least: int = 0) -> "Generations":
        """Every slot is new."""
        return Generations(max(self.highest + 1, at_least))

    def to_json(self) -> dict[str, Any]:
        return {"floor": self.floor, "above": {str(slot): value for slot, value in sorted(self.above.items())}}

    @classmethod
    def from_json(cls, entry: Any, limit: int) -> "Generations":
        """Raises InvalidTopology, also for a generation of `limit` and more."""
        want = strict(entry, {"floor": int, "above": dict})
        if not all(slot in _slots and type(value) is int for slot, value in want["above"].items()):
            raise InvalidTopology("a slot or a generation is not a whole number in its range")
        if not all(0 <= value < limit for value in (want["floor"], *want["above"].values())):
            raise InvalidTopology("a generation out of range")
        return cls(want["floor"]).merge(cls(0, {int(slot): value for slot, value in want["above"].items()}))


NONE = Generations()
