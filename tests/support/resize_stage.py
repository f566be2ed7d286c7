"""A fleet that is resized while a test looks on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dcache_manager.rebalance.conductor import Conductor
from django_dcache.commands import Value
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model.keys import RESERVED, parse_wire_key
from django_dcache.model.topology import Layout, Phase
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet, LocalNode, ManualClock
from support.conductors import changed

OPTIONS: dict[str, Any] = {"timeout": 5.0, "connect_timeout": 5.0}
NAMES = [b":1:key:%d" % number for number in range(600)]
BATCH = 200


@dataclass
class Stage:
    """A small fleet with 600 keys on it, as two processes see it: the one that resizes, and another."""

    nodes: LocalFleet
    ours: Fleet
    theirs: Fleet
    clock: ManualClock
    phases: list[str] = field(default_factory=list)
    """Each phase in which the conductor waited, in order."""

    def conductor(self, at: dict[str, Callable[[], None]] | None = None, **options: Any) -> Conductor:
        """`at`: what happens when the conductor first waits in a phase, or first pauses ("paused")."""
        happens = dict(at or {})

        def sleep(seconds: float) -> None:
            moment = "paused" if conductor.progress.state == "paused" else str(self.ours.view.state.topology.phase)
            if not self.phases or self.phases[-1] != moment:
                self.phases.append(moment)
            happens.pop(moment, lambda: None)()
            self.clock.advance(seconds)

        conductor = Conductor(self.ours, sleep=sleep, **options)
        return conductor

    def changed(self, **changes: Any) -> Layout:
        return changed(self.ours, **changes)

    def store(self, version: int, names: list[bytes] = NAMES) -> None:
        for start in range(0, len(names), BATCH):
            items = {name: Item(0, b"%d" % version, 3600) for name in names[start : start + BATCH]}
            assert all(outcome.successful for outcome in self.theirs.run(write, items).values())

    def versions(self, names: list[bytes] = NAMES) -> list[int]:
        """What another process reads of each key; -1: nothing."""
        found: dict[bytes, Value] = {}
        for start in range(0, len(names), BATCH):
            found |= self.theirs.run(fetch, names[start : start + BATCH])
        return [int(found[name].data or b"-1") if name in found else -1 for name in names]

    def owned(self, node: LocalNode) -> set[bytes]:
        """The keys of which a copy belongs on this node."""
        view = self.theirs.proven_view()
        return {name for name in NAMES if node.address in view.place(name).route.read}

    def strays(self) -> list[bytes]:
        """Keys that lie on a running node that does not own them."""
        view = self.theirs.proven_view()
        names = [(parse_wire_key(key)[0], node) for node in self.nodes.nodes if node.running for key in node.items()]
        return [
            name
            for name, node in names
            if not name.startswith(RESERVED) and node.address not in view.place(name).route.read
        ]

    @property
    def settled(self) -> tuple[int, list[str]]:
        """The epoch and the nodes, once the topology is stable."""
        topology = self.theirs.proven_view().state.topology
        assert topology.phase is Phase.STABLE
        return topology.epoch, [node.name for node in topology.layout.nodes]
