"""Resizes of fleets whose nodes are dead, old, refusing, or hold what they should not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dcache_manager.errors import Cancelled
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance.preflight import Unanswered, Unsuitable
from django_dcache.errors import NoReplica
from django_dcache.flows import Item
from django_dcache.flows.add import add
from django_dcache.flows.count import count
from django_dcache.flows.write import touch, write
from django_dcache.model.keys import RESERVED
from django_dcache.testing import FaultProxy, LocalNode, ScriptedNode
from django_dcache.values.plain import INTEGER
from support.conductors import connected
from support.resize_stage import NAMES, OPTIONS, Stage

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


def test_node_that_takes_no_writes(stage: Callable[..., Stage]) -> None:
    """Adding a node that answers and stores nothing is an error that names it, and changes nothing."""
    fleet = stage()
    before = fleet.settled

    def script(command: bytes, _: int) -> bytes:
        if command == b"version":
            return b"VERSION 1.6.18\r\n"
        if command.startswith(b"ms "):
            return b"SERVER_ERROR out of memory storing object\r\n"
        return b"EN\r\n" if command.startswith(b"m") else b"END\r\n"

    with ScriptedNode(script) as full:
        with pytest.raises(Unsuitable, match=r"does not store an item.*out of memory.*" + full.address):
            fleet.conductor().run(fleet.changed(add=[full.address]))
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


def test_counting_while_a_living_node_is_taken_out_and_back(stage: Callable[..., Stage]) -> None:
    """With two replicas two processes count in every phase: no number comes twice, none below one that was handed out;
    a count may fail."""
    fleet = stage(3, replicas=2)
    numbers: dict[bytes, list[int]] = {name: [0] for name in NAMES[:40]}
    for name in numbers:
        assert fleet.theirs.run(write, {name: Item(INTEGER, b"0", 3600)})[name].stored

    def count_all() -> None:
        for process in (fleet.theirs, fleet.ours, fleet.theirs):
            for name, handed_out in numbers.items():
                try:
                    number = process.run(count, name, 1)
                except NoReplica:
                    continue
                if number is not None:
                    assert number > handed_out[-1], (name, handed_out, number)
                    handed_out.append(number)

    victim = fleet.nodes.nodes[1].address
    for _ in range(2):
        at = dict.fromkeys(("stable", "prepare", "copy", "flip", "settle"), count_all)
        fleet.conductor(at).take_out(victim)
        count_all()
        fleet.clock.advance(fleet.theirs.view.hold)
        fleet.conductor(dict(at)).bring_back(victim)
        count_all()
    assert sum(len(handed_out) > 10 for handed_out in numbers.values()) > len(numbers) // 2


def test_number_of_replicas(stage: Callable[..., Stage]) -> None:
    """From one replica to two and back every copy is made, and those that are too many go."""
    fleet = stage()
    for replicas in (2, 1):
        fleet.conductor().run(fleet.changed(replicas=replicas))
        keys = [key for node in fleet.nodes.nodes for key in node.items() if not key.startswith(RESERVED)]
        assert len(keys) == replicas * len(NAMES)
        assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


@contextmanager
def cut_from_its_conductor(fleet: Stage, source: LocalNode) -> Iterator[FaultProxy]:
    """The conductor alone meets that node through a proxy."""
    with FaultProxy(source.address) as proxy:
        ways = {source.address: proxy.address}
        options = {**OPTIONS, "address_remap": lambda address: ways.get(address, address)}
        with connected(fleet.nodes.addresses, options, fleet.clock) as fleet.ours:
            yield proxy


def test_a_source_that_the_conductor_cannot_reach_for_a_while(stage: Callable[..., Stage]) -> None:
    """Where only the conductor can't reach the only copy of keys it waits, and no key is lost."""
    fleet = stage()
    copying: list[float] = []

    def report(progress: Progress) -> None:
        if progress.phase == "copy":
            copying.append(fleet.clock())
            if fleet.clock() - copying[0] > 12:
                proxy.heal()

    with cut_from_its_conductor(fleet, fleet.nodes.nodes[0]) as proxy:
        conductor = fleet.conductor({"prepare": proxy.refuse}, report=report)
        assert conductor.run(fleet.changed(add=[fleet.nodes.add().address])).state == "done"
    assert copying[-1] - copying[0] > 12
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()


def test_a_source_that_the_conductor_cannot_reach_at_all(stage: Callable[..., Stage]) -> None:
    """After half a minute the resize goes back, says why, and no key is lost."""
    fleet = stage()
    before = fleet.settled[1]
    with cut_from_its_conductor(fleet, fleet.nodes.nodes[0]) as proxy:
        conductor = fleet.conductor({"prepare": proxy.refuse})
        with pytest.raises(Cancelled):
            conductor.run(fleet.changed(add=[fleet.nodes.add().address]))
        assert any(fleet.nodes.nodes[0].address in note and "going back" in note for note in conductor.progress.notes)
        proxy.heal()
    assert fleet.settled[1] == before
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()
