"""Resizes that meet something unusual: other conductors, operators who change their minds, nodes that are odd or dead.

Nobody waits here: the processes share a clock that goes on when the conductor sleeps. The nodes are real.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from dcache_manager.errors import Cancelled
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.rebalance.leadership import ask
from dcache_manager.rebalance.preflight import Unanswered, Unsuitable
from django_dcache.commands import Value
from django_dcache.errors import Conflict
from django_dcache.flows import Item
from django_dcache.flows.add import add
from django_dcache.flows.count import count
from django_dcache.flows.read import fetch
from django_dcache.flows.write import touch, write
from django_dcache.model.keys import RESERVED, parse_wire_key
from django_dcache.model.topology import Layout, Phase
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet, LocalNode, ManualClock, ScriptedNode
from support.conductors import changed, connected

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


@pytest.fixture
def stage() -> Iterator[Callable[..., Stage]]:
    """Sets a stage: `stage(3, replicas=2)`; the options are those of the nodes, or of the cache alias."""
    with ExitStack() as stack:

        def make(count: int = 3, extra: tuple[str, ...] = (), **options: Any) -> Stage:
            nodes, clock = stack.enter_context(LocalFleet(count, extra=extra)), ManualClock()
            ours, theirs = (
                stack.enter_context(connected(nodes.addresses, {**OPTIONS, **options}, clock)) for _ in range(2)
            )
            made = Stage(nodes, ours, theirs, clock)
            made.store(1)
            return made

        yield make


# Operators


def test_second_conductor(stage: Callable[..., Stage]) -> None:
    """While a conductor lives a second one is refused, and the first one goes on."""
    fleet = stage()
    refusals: list[str] = []

    def intrude() -> None:
        with pytest.raises(Conflict) as refusal:
            Conductor(fleet.theirs).run(fleet.theirs.view.state.topology.layout)
        refusals.append(str(refusal.value))

    added = fleet.nodes.add().address
    conductor = fleet.conductor({"copy": intrude})
    assert conductor.run(fleet.changed(add=[added])).state == "done"
    assert conductor.progress.owner in refusals[0]
    assert added in fleet.settled[1]
    assert fleet.versions() == [1] * len(NAMES)


def test_pause(stage: Callable[..., Stage]) -> None:
    """A conductor that is asked to pause stays in its phase and keeps its lease until it is asked to go on."""
    fleet = stage()
    epochs: list[int] = []

    def resume() -> None:
        epochs.append(fleet.theirs.proven_view().epoch)
        ask(fleet.theirs, "run")

    at = {"copy": lambda: ask(fleet.theirs, "pause"), "paused": resume}
    fleet.conductor(at).run(fleet.changed(add=[fleet.nodes.add().address]))
    assert fleet.phases == ["stable", "prepare", "copy", "paused", "copy", "flip", "settle"]
    assert epochs == [3]
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


@pytest.mark.parametrize("phase", ["prepare", "copy"])
def test_cancel_before_flip(stage: Callable[..., Stage], phase: str) -> None:
    """Cancelled before flip, the fleet is as it was: nothing stale, nothing on the node that was to join."""
    fleet = stage()

    def cancel() -> None:
        assert fleet.versions() == [1] * len(NAMES)  # In copy, reading fills the joining node.
        fleet.store(2, NAMES[::2])
        ask(fleet.theirs, "cancel")

    added, before = fleet.nodes.add(), fleet.settled[1]
    with pytest.raises(Cancelled):
        fleet.conductor({phase: cancel}).run(fleet.changed(add=[added.address]))
    assert fleet.settled[1] == before
    assert fleet.versions(NAMES[::2]) == [2] * (len(NAMES) // 2)
    assert fleet.versions(NAMES[1::2]) == [1] * (len(NAMES) // 2)
    assert not fleet.strays()


@pytest.mark.parametrize("phase", ["flip", "settle"])
def test_cancel_after_flip(stage: Callable[..., Stage], phase: str) -> None:
    """Cancelled from flip on, the resize is finished first and then made the other way, and nothing is lost."""
    fleet = stage()
    before = fleet.settled[1]
    conductor = fleet.conductor({phase: lambda: ask(fleet.theirs, "cancel")})
    with pytest.raises(Cancelled):
        conductor.run(fleet.changed(add=[fleet.nodes.add().address]))
    assert fleet.phases == ["stable", "prepare", "copy", "flip", "settle"] * 2
    assert fleet.settled[1] == before
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


def test_cancelling_what_a_dead_conductor_left_in_flip(stage: Callable[..., Stage]) -> None:
    """A conductor that only cancels also finishes a resize that is past flip, and then goes back."""
    fleet = stage()
    before = fleet.settled[1]

    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fleet.conductor({"flip": die}).run(fleet.changed(add=[fleet.nodes.add().address]))
    assert fleet.conductor().cancel().state == "cancelled"
    assert fleet.settled[1] == before
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


def test_leases_of_a_dead_mover(stage: Callable[..., Stage]) -> None:
    """Leases that a killed conductor left on keys keep nobody from touching, counting or adding them for long."""
    fleet = stage()
    added = fleet.nodes.add()
    done: list[object] = []

    def leave_leases() -> None:
        touched, counted, *_ = moving = sorted(fleet.owned(added))
        fleet.theirs.run(write, {touched: None, counted: None})
        fleet.theirs.run(write, {touched: Item(0, b"1", 60), counted: Item(2, b"1", 60)})
        added.ask(b"".join(b"md %b\r\nmg %b c N30\r\n" % (name, name) for name in moving))
        done.append(fleet.theirs.run(touch, touched, 3600))
        done.append(fleet.theirs.run(count, counted, 0))
        done.append(fleet.theirs.run(add, touched, Item(0, b"7", 60)))

    fleet.conductor({"copy": leave_leases}).run(fleet.changed(add=[added.address]))
    assert done == [True, 1, False]
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


# Nodes


def test_node_that_refuses_connections(stage: Callable[..., Stage]) -> None:
    """Adding a node that refuses connections is an error that names it, and changes nothing."""
    fleet = stage()
    dead = fleet.nodes.add()
    dead.kill()
    before = fleet.settled
    with pytest.raises(Unsuitable, match=f"refused.*{dead.address}"):
        fleet.conductor().run(fleet.changed(add=[dead.address]))
    assert fleet.settled == before


def test_node_of_an_old_version(stage: Callable[..., Stage]) -> None:
    """Adding a node older than memcached 1.6.18 is an error that says so, and changes nothing."""
    fleet = stage()
    before = fleet.settled
    with ScriptedNode(lambda command, _: b"VERSION 1.5.6\r\n" if command == b"version" else b"END\r\n") as old:
        with pytest.raises(Unsuitable, match=r"1\.5\.6"):
            fleet.conductor().run(fleet.changed(add=[old.address]))
    assert fleet.settled == before


def test_sources_that_refuse_metadump(stage: Callable[..., Stage]) -> None:
    """Keys on nodes that list none move as they are read, and the report says which nodes that are."""
    fleet = stage(extra=("-X",))
    read: list[list[int]] = []
    fleet.nodes.add(extra=())

    def report(progress: Progress) -> None:
        if "waiting for readers" in progress.doing and not read:
            read.append(fleet.versions())

    progress = fleet.conductor(report=report).run(fleet.changed(add=[fleet.nodes.nodes[3].address]))
    for address in fleet.nodes.addresses[:3]:
        assert any(address in note and "does not list its keys" in note for note in progress.notes)
    assert read == [[1] * len(NAMES)]
    assert fleet.versions() == [1] * len(NAMES)


def test_sources_without_a_crawler(stage: Callable[..., Stage]) -> None:
    """Nodes started with no_lru_crawler have it started, and their keys move like any others."""
    fleet = stage(extra=("-o", "no_lru_crawler"))
    progress = fleet.conductor().run(fleet.changed(add=[fleet.nodes.add(extra=()).address]))
    assert progress.moved and not progress.notes
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


def test_draining_a_dead_node(stage: Callable[..., Stage]) -> None:
    """A dead node can be drained: its keys are gone, others stand in for it, and none loses a key of its own."""
    fleet = stage()
    dead = fleet.nodes.nodes[0]
    lost = sorted(fleet.owned(dead))
    kept = sorted({*NAMES} - {*lost})
    dead.kill()
    one, two, *rest = lost
    serving: dict[str, list[bool]] = {}

    def work_on() -> None:
        phase = str(fleet.theirs.proven_view().state.topology.phase)
        serving[phase] = [
            fleet.theirs.run(write, {name: Item(0, b"2", 3600) for name in rest})[rest[0]].stored,
            fleet.theirs.run(add, one, Item(0, b"2", 3600)),
            fleet.theirs.run(count, two, 0) is not None or fleet.theirs.run(add, two, Item(0, b"2", 3600)),
            fleet.theirs.run(touch, one, 3600),
        ]

    at = dict.fromkeys(("prepare", "copy", "flip", "settle"), work_on)
    progress = fleet.conductor(at).run(fleet.changed(remove=[dead.address]))
    assert any(dead.address in note and "does not answer" in note for note in progress.notes)
    assert dead.address not in fleet.settled[1]
    assert fleet.versions(kept) == [1] * len(kept) and fleet.versions(lost) == [2] * len(lost)
    # An addition finds the one of the phase before.
    assert serving == {"prepare": [True] * 4} | dict.fromkeys(("copy", "flip", "settle"), [True, False, True, True])
    state = fleet.theirs.view.state
    assert not state.generations.keys() & state.topology.nodes.keys()
    assert not fleet.strays()


def test_a_dead_node_that_is_to_stay(stage: Callable[..., Stage]) -> None:
    """No resize begins while a node that is to stay does not answer: the error names it, and nothing is changed."""
    fleet = stage()
    dead, added = fleet.nodes.nodes[0], fleet.nodes.add()
    before = fleet.settled
    dead.kill()
    with pytest.raises(Unanswered, match=dead.address):
        fleet.conductor().run(fleet.changed(add=[added.address]))
    assert fleet.settled == before


@pytest.mark.parametrize("dead", [False, True], ids=["alive", "dead"])
def test_replacing_a_node(stage: Callable[..., Stage], dead: bool) -> None:
    """One node goes and another comes in one resize; every key is kept, or those that were on a dead node are gone."""
    fleet = stage()
    gone, come = fleet.nodes.nodes[0], fleet.nodes.add().address
    lost = fleet.owned(gone) if dead else set()
    if dead:
        gone.kill()
    fleet.conductor().run(fleet.changed(add=[come], remove=[gone.address]))
    assert come in fleet.settled[1] and gone.address not in fleet.settled[1]
    assert fleet.versions() == [-1 if name in lost else 1 for name in NAMES] and not fleet.strays()


def test_weighting_a_node(stage: Callable[..., Stage]) -> None:
    """A heavier node takes keys from the others, and a lighter one gives them back; every key is kept."""
    fleet = stage()
    heavy = fleet.nodes.nodes[0]
    counts = []
    for weight in (1, 4, 1):
        fleet.conductor().run(fleet.changed(weights={heavy.address: weight}))
        counts.append(len(heavy.items()))
        assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()
    assert counts[1] > counts[0] * 1.5 and counts[2] < counts[1] / 1.5


def test_strays_from_an_earlier_life(stage: Callable[..., Stage]) -> None:
    """What lies on a node from the time before it left is never read when the keys come back to it."""
    fleet = stage()
    heavy = fleet.nodes.nodes[0]
    fleet.conductor().run(fleet.changed(weights={heavy.address: 4}))
    passing = fleet.owned(heavy)
    fleet.conductor().run(fleet.changed(weights={heavy.address: 1}))
    passing -= fleet.owned(heavy)
    heavy.ask(b"".join(b"ms %b 1 T0\r\n7\r\n" % name for name in passing))  # As if settle had missed them.
    fleet.conductor().run(fleet.changed(weights={heavy.address: 4}))
    assert fleet.versions() == [1] * len(NAMES)


# Replicas


@pytest.mark.parametrize("victim", ["source", "target"])
def test_replicas_while_a_node_dies(stage: Callable[..., Stage], victim: str) -> None:
    """With two replicas a source or a joining node may die during a resize: no key is lost and nothing is stale."""
    fleet = stage(3, replicas=2)
    added = fleet.nodes.add()
    dying: LocalNode = fleet.nodes.nodes[1] if victim == "source" else added
    fleet.conductor({"flip": dying.kill}).run(fleet.changed(add=[added.address]))
    assert fleet.versions() == [1] * len(NAMES)
    fleet.store(2)
    assert fleet.versions() == [2] * len(NAMES)


def test_number_of_replicas(stage: Callable[..., Stage]) -> None:
    """From one replica to two and back every copy is made, and those that are too many go."""
    fleet = stage()
    for replicas in (2, 1):
        fleet.conductor().run(fleet.changed(replicas=replicas))
        keys = [key for node in fleet.nodes.nodes for key in node.items() if not key.startswith(RESERVED)]
        assert len(keys) == replicas * len(NAMES)
        assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()
