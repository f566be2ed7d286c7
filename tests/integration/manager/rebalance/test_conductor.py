"""Resizes that meet something unusual: other conductors, operators who change their minds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dcache_manager.errors import Cancelled
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.rebalance.leadership import ask
from dcache_manager.rebalance.passes import LocalPasses
from django_dcache.errors import Conflict
from django_dcache.flows import Flow, Item
from django_dcache.flows.add import add
from django_dcache.flows.consensus import agree
from django_dcache.flows.count import count
from django_dcache.flows.resize import Moved
from django_dcache.flows.write import touch, write
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Phase, Topology
from django_dcache.model.view import View
from support.resize_stage import NAMES, Stage


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


def test_nodes_that_left_may_be_switched_off(stage: Callable[..., Stage]) -> None:
    """A resize ends when no process can use the nodes that left any more: their last epoch is over by then."""
    fleet = stage()
    published: list[float] = []

    class Journal:
        def record(self, event: str, progress: Progress, **details: object) -> None:
            published.append(fleet.clock())

    leaving = fleet.nodes.nodes[0]
    fleet.conductor(journal=Journal()).run(fleet.changed(remove=[leaving.address]))
    *_, stable, done = published
    assert done - stable >= fleet.theirs.view.hold
    leaving.kill()
    fleet.store(2)
    assert fleet.versions() == [2] * len(NAMES) and not fleet.theirs.view.debts


def of_processes(view: View, after: Topology, taken_out: tuple[str, ...] = ()) -> Flow[object]:
    """An epoch that processes publish, which have no fence."""

    def change(state: FleetState) -> FleetState:
        for name in taken_out:
            state = state.taken_out(name)
        return replace(state, topology=after)

    return (yield from agree(view, change, also=after.all_keepers))


def test_processes_that_take_a_node_out_first(stage: Callable[..., Stage]) -> None:
    """A conductor that finds an epoch of the processes where its own was to be begins from that one."""
    fleet = stage()
    added, lost = fleet.nodes.add().address, fleet.nodes.nodes[1]
    kept = sorted({*NAMES} - fleet.owned(lost))

    def take_out() -> None:
        topology = fleet.theirs.proven_view().state.topology
        fleet.theirs.run(of_processes, topology.served_by(topology.layout.without({lost.address})), (lost.address,))

    fleet.conductor({"stable": take_out}).run(fleet.changed(add=[added]))
    epoch, nodes = fleet.settled
    assert {added, lost.address} <= {*nodes} and not fleet.theirs.view.state.topology.layout.out
    assert epoch == 7 and fleet.versions(kept) == [1] * len(kept)


def test_processes_that_lead_the_same_resize(stage: Callable[..., Stage]) -> None:
    """A conductor that comes by while the processes take a node back leads that to its end, from where they are."""
    fleet = stage()
    back, topology = fleet.nodes.nodes[0].address, fleet.theirs.proven_view().state.topology
    fleet.theirs.run(of_processes, topology.served_by(topology.layout.without({back})), (back,))
    fleet.clock.advance(fleet.theirs.view.hold)  # The new slots of the node that stands in are open.
    fleet.store(2)
    fleet.theirs.run(of_processes, fleet.theirs.view.state.topology.begin(topology.layout))

    def step() -> None:
        fleet.theirs.run(of_processes, fleet.theirs.proven_view().state.topology.step(Phase.COPY))

    assert fleet.conductor({"prepare": step}).run(topology.layout).state == "done"
    assert fleet.phases == ["prepare", "copy", "flip", "settle"]
    assert fleet.versions() == [2] * len(NAMES)


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
    assert fleet.phases == ["stable", "prepare", "copy", "flip", "settle"] * 2 + ["stable"]
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


def test_a_slow_pass_is_repeated(stage: Callable[..., Stage]) -> None:
    """What a pass of minutes could not move once it is tried again: nothing is lost, and nothing told as lost."""
    fleet = stage()
    failures = iter([Moved(failed=14)])

    class SlowPasses(LocalPasses):
        """In flip, the first one takes a minute, and some keys are refused a moment before its end."""

        def copy(self, sources: Sequence[str], retire: bool = False, share: bool = False) -> Moved:
            if not retire:
                return Moved()
            fleet.clock.advance(60)
            fleet.ours.proven_view()
            return next(failures, None) or super().copy(sources, retire, share)

    passes: Any = SlowPasses
    conductor = fleet.conductor(passes=passes)
    conductor.run(fleet.changed(add=[fleet.nodes.add().address]))
    assert fleet.versions() == [1] * len(NAMES) and not fleet.strays()
    assert conductor.progress.failed == 0


def test_keys_that_are_written_are_not_lost(stage: Callable[..., Stage]) -> None:
    """A key that a client writes whenever it is looked at is not counted as one that could not be moved."""
    fleet = stage()

    class BusyPasses(LocalPasses):
        """Others write three keys in each pass."""

        def copy(self, sources: Sequence[str], retire: bool = False, share: bool = False) -> Moved:
            moved = super().copy(sources, retire, share) + Moved(failed=3, busy=3)
            self._count(Moved(failed=3, busy=3))
            return moved

    passes: Any = BusyPasses
    conductor = fleet.conductor(passes=passes)
    conductor.run(fleet.changed(add=[fleet.nodes.add().address]))
    assert (conductor.progress.state, conductor.progress.failed) == ("done", 0)
    assert fleet.versions() == [1] * len(NAMES)
