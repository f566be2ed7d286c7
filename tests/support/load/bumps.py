"""Which slots the processes of a load saw bumped: lost replies have cost their keys, wherever those lay then."""

from dataclasses import dataclass, field

from django_dcache.model.generations import NONE, Generations
from django_dcache.model.state import FleetState


@dataclass
class Bumps:
    """Of nodes, by name; also of those that have left, of which the fleet state keeps nothing."""

    first: dict[str, int] = field(default_factory=dict)
    """The generation with which a node came: one that joins and holds something has one from its first moment."""
    last: dict[str, Generations] = field(default_factory=dict)
    _seen: FleetState | None = None

    def see(self, state: FleetState) -> None:
        """Take in what a process knows of the fleet."""
        if state is self._seen:
            return
        self._seen = state
        for node in state.topology.nodes:
            generations = state.generations.get(node, NONE)
            self.first.setdefault(node, generations.floor)
            self.last[node] = self.last.get(node, NONE).merge(generations)

    def merge(self, other: "Bumps") -> None:
        self._seen = None
        for node, generations in other.last.items():
            self.first[node] = min(self.first.get(node, other.first[node]), other.first[node])
            self.last[node] = self.last.get(node, NONE).merge(generations)

    def of(self, slot: int) -> bool:
        """Whether a slot was bumped on any node."""
        return any(generations.of(slot) > self.first[node] for node, generations in self.last.items())

    def reachable(self, node: str, slot: int, generation: int) -> bool:
        """Whether what lies in a slot of a node in this generation could be read, were it asked."""
        return generation == self.last.get(node, NONE).of(slot)

    @property
    def slots(self) -> int:
        """How many there were."""
        return sum(
            256 if generations.floor > self.first[node] else len(generations.above)
            for node, generations in self.last.items()
        )
