"""A fleet follows a source while processes read, write and count on it through Django.

Scale-out, an answer that flaps, one that is empty, a pod that comes back under another address, scale-in: after each
the fleet is what it should be, and the load has seen nothing stale and no exception. The source is a file that names
addresses, or a name server that knows a headless service.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

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
from support.host_names import HostNames
from support.load.assertions import COUNTERS, KEYS, OPTIONS, UNSEEN
from support.load.node_contents import inspect
from support.load.processes import Load
from support.name_server import NameServer
from support.scale import FULL
from support.waiting import until

Fleets = Callable[..., LocalFleet]
READS = 3
SERVICE = "_memcache._tcp.cache.test"


class Names(Protocol):
    """What says which nodes there should be."""

    text: str
    options: dict[str, Any]
    """By which processes find the nodes."""

    def address(self, name: str, node: LocalNode) -> str:
        """Under which this node is in the layout from now on."""
        ...

    def say(self, layout: dict[str, str]) -> None: ...


class NodesFile:
    """Names and addresses in a file: a node that is elsewhere has another address."""

    options: dict[str, Any] = {}

    def __init__(self, folder: Path):
        self._file = folder / "nodes.json"
        self.text = f"file:{self._file}"

    def address(self, name: str, node: LocalNode) -> str:
        return node.address

    def say(self, layout: dict[str, str]) -> None:
        listed = [{"name": name, "address": address} for name, address in layout.items()]
        self._file.write_text(json.dumps({"nodes": listed}))


class HeadlessService:
    """Service records of a name server: a node that is elsewhere has the same name, and each process looks it up."""

    def __init__(self, server: NameServer, hosts: Path):
        self._server, self._names, self._hosts = server, HostNames(hosts), dict[str, str]()
        self.text, self.options = f"srv:{SERVICE}?nameserver={server.address}", {"address_remap": self._names}

    def address(self, name: str, node: LocalNode) -> str:
        host = f"{name}.cache.test:11211"
        self._hosts[host] = node.address
        self._names.write(self._hosts)
        return host

    def say(self, layout: dict[str, str]) -> None:
        self._server.records[SERVICE, "SRV"] = [f"0 0 11211 {name}.cache.test." for name in layout]


@contextmanager
def source_of(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    if kind == "file":
        yield NodesFile(folder)
        return
    monkeypatch.setenv("DCACHE_TEST_HOSTS", str(folder / "hosts.json"))
    with NameServer() as server:
        yield HeadlessService(server, folder / "hosts.json")


class Site:
    """An autopilot that follows a source."""

    def __init__(self, fleet: Fleet, names: Names, folder: Path):
        self._fleet = fleet
        watch = SourceWatch(source(names.text), Rules(READS), folder / "kept.json")
        self._pilot = Autopilot(fleet, reconciler=Reconciler(watch))

    def look(self, times: int = 1) -> list[str]:
        return [line for _ in range(times) for line in self._pilot.look()]

    def becomes(self, nodes: dict[str, str]) -> bool:
        """Whether the fleet gets these nodes, all of them in service."""
        return until(lambda: (self.look(), self._is(nodes))[1], 60)

    def takes_out(self, name: str) -> bool:
        """Whether this node is taken out of service."""
        return until(lambda: (self.look(), self._fleet.proven_view().state.topology.nodes[name].out)[1], 60)

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


@pytest.mark.parametrize(
    ("kind", "replicas", "dead"),
    [("file", 2, True), ("file", 1, True), ("srv", 2, True), *([("file", 2, False), ("srv", 1, True)] if FULL else [])],
)
def test_followed_under_load(
    fleet: Fleets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, replicas: int, dead: bool
) -> None:
    """Nothing stale and no exception, whatever the source says, and whether or not the old address of a pod still
    answers. With two copies of each key no key is lost either."""
    local = fleet(4, memory=256)
    nodes = {f"cache-{number}": node for number, node in enumerate(local.nodes)}
    with source_of(kind, tmp_path, monkeypatch) as names:
        layout = {name: names.address(name, node) for name, node in nodes.items()}
        location = [{"name": name, "address": address} for name, address in layout.items()]
        options = OPTIONS | {"replicas": replicas}
        with connected(location, options | names.options) as ours, Load(location, options, KEYS, COUNTERS) as load:
            site = Site(ours, names, tmp_path)

            nodes["cache-4"] = local.add()
            layout["cache-4"] = names.address("cache-4", nodes["cache-4"])
            names.say(layout)
            assert site.becomes(layout)

            epoch, fewer = site.epoch, dict(list(layout.items())[:2])
            for said in (fewer, layout, fewer, fewer, layout):
                names.say(said)
                site.look()
            names.say({})
            assert "names no node" in site.look(2 * READS)[-1]
            assert site.epoch == epoch

            moved, nodes["cache-1"] = nodes["cache-1"], local.add()
            if dead:
                moved.kill()
            if kind == "srv":
                names.say(layout)
                assert site.takes_out("cache-1")
            layout["cache-1"] = names.address("cache-1", nodes["cache-1"])
            names.say(layout)
            assert site.becomes(layout)

            del layout["cache-0"], nodes["cache-0"]
            names.say(layout)
            assert site.becomes(layout)

            findings = load.stop()
            named = [Named(node, name) for name, node in nodes.items()]
            found = inspect(ours, named, load.truth, findings.bumps, 5)  # type: ignore[arg-type]
    print(
        f"{dict(findings.events)}\n{sum(findings.reads.values())} reads that had to hit, worst miss ratio of any half "
        f"second {findings.worst_miss_ratio:.2%}, worst lag {findings.worst_lag:.3f} s, {found.checked} keys in place"
    )
    for never in UNSEEN:
        assert not findings.events[never], findings.wrong
    assert not findings.repeated_numbers
    assert findings.worst_lag <= OPTIONS["freshness"] + OPTIONS["timeout"]
    assert sum(findings.reads.values()) > 1000 and found.checked > KEYS / 2
    assert not found.different and not found.other_ttl and not found.strays
    if replicas == 2:
        assert findings.worst_miss_ratio < 0.01 and not found.missing
