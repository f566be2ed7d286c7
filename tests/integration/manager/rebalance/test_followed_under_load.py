"""A fleet follows a source while processes read, write and count on it through Django.

Scale-out, an answer that flaps, one that is empty, a pod that comes back under another address, scale-in: after each
the fleet is what it should be, and the load has seen nothing stale and no exception.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcache_manager.discovery.rules import Rules
from dcache_manager.discovery.source import source
from dcache_manager.discovery.watch import SourceWatch
from dcache_manager.rebalance.autopilot import Autopilot
from dcache_manager.rebalance.reconcile import Reconciler
from django_dcache.model.topology import Phase
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet, LocalNode
from support.conductors import connected
from support.load.assertions import COUNTERS, KEYS, OPTIONS, UNSEEN
from support.load.node_contents import inspect
from support.load.processes import Load
from support.scale import FULL
from support.waiting import until

Fleets = Callable[..., LocalFleet]
READS = 3


class Site:
    """A file that names nodes, and an autopilot that follows it."""

    def __init__(self, fleet: Fleet, folder: Path):
        self._fleet, self._file = fleet, folder / "nodes.json"
        watch = SourceWatch(source(f"file:{self._file}"), Rules(READS), folder / "kept.json")
        self._pilot = Autopilot(fleet, reconciler=Reconciler(watch))

    def say(self, nodes: dict[str, str]) -> None:
        listed = [{"name": name, "address": address} for name, address in nodes.items()]
        self._file.write_text(json.dumps({"nodes": listed}))

    def look(self, times: int = 1) -> list[str]:
        return [line for _ in range(times) for line in self._pilot.look()]

    def becomes(self, nodes: dict[str, str]) -> bool:
        """Whether the fleet gets these nodes, all of them in service."""
        return until(lambda: (self.look(), self._is(nodes))[1], 60)

    def _is(self, nodes: dict[str, str]) -> bool:
        topology = self._fleet.proven_view().state.topology
        serving = {node.name: node.address for node in topology.layout.nodes if not node.out}
        return topology.phase is Phase.STABLE and serving == nodes

    @property
    def epoch(self) -> int:
        return self._fleet.proven_view().epoch


class Named:
    """A node under the name that the fleet has for it."""

    def __init__(self, node: LocalNode, name: str):
        self._node, self.name = node, name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._node, attribute)


@pytest.mark.parametrize(("replicas", "dead"), [(2, True), (1, True), *([(2, False)] if FULL else [])])
def test_followed_under_load(fleet: Fleets, tmp_path: Path, replicas: int, dead: bool) -> None:
    """Nothing stale and no exception, whatever the source says, and whether or not the old address of a pod still
    answers. With two copies of each key no key is lost either."""
    options = OPTIONS | {"replicas": replicas}
    local = fleet(4, memory=256)
    layout = {address: address for address in local.addresses}
    with connected(local.addresses, options) as ours, Load(list(layout), options, KEYS, COUNTERS) as load:
        site = Site(ours, tmp_path)

        added = local.add()
        layout["cache-4"] = added.address
        site.say(layout)
        assert site.becomes(layout)

        epoch, fewer = site.epoch, dict(list(layout.items())[:2])
        for said in (fewer, layout, fewer, fewer, layout):
            site.say(said)
            site.look()
        site.say({})
        assert "names no node" in site.look(2 * READS)[-1]
        assert site.epoch == epoch

        moved, new = local.nodes[1], local.add()
        layout[moved.address] = new.address
        if dead:
            moved.kill()
        site.say(layout)
        assert site.becomes(layout)

        left = local.addresses[0]
        del layout[left]
        site.say(layout)
        assert site.becomes(layout)

        findings = load.stop()
        named = [node for node in local.nodes if node is not moved and node.address != left]
        names = {address: name for name, address in layout.items()}
        found = inspect(ours, [Named(node, names[node.address]) for node in named], load.truth, 5)  # type: ignore[misc]
    print(
        f"{dict(findings.events)}\n{sum(findings.reads.values())} reads that had to hit, worst miss ratio of any half "
        f"second {findings.worst_miss_ratio:.2%}, worst lag {findings.worst_lag:.3f} s, {found.checked} keys in place"
    )
    for never in UNSEEN:
        assert not findings.events[never], findings.wrong
    assert not findings.repeated_numbers
    assert findings.worst_lag <= OPTIONS["freshness"] + OPTIONS["timeout"]
    assert sum(findings.reads.values()) > 1000 and found.checked > KEYS / 2
    assert not found.different and not found.strays
    if replicas == 2:
        assert findings.worst_miss_ratio < 0.01 and not found.missing
