"""Who resizes the fleet in a simulation: the conductor, and the processes that move keys beside it."""

from collections.abc import Callable
from typing import Any

from django_dcache.errors import Conflict, NodeFailure, NoMajority
from django_dcache.flows import Flow
from django_dcache.flows import resize as move
from django_dcache.model.topology import Layout, Phase
from django_dcache.model.view import View

from .process import Process, Script, Sleep
from .roles import Scene, waiting

BESIDE_HEALING = 12.0
"""Seconds that a resize may wait for processes that take nodes out, or back."""


def mover(scene: Scene, process: Process) -> Script:
    """Moves keys whenever its view lets it, beside the conductor."""
    while scene.running:
        yield scene.think(0.3)
        yield from process.run(_carry_all, scene, scene.flows.carry)


def _keys(scene: Scene, view: View) -> list[move.Key]:
    names = (scene.value, scene.still, scene.number, scene.lock, scene.register.name)
    return [move.Key(name, (place := view.place(name)).slot, place.route) for name in names]


def _carry_all(view: View, scene: Scene, carry: Callable[..., Flow[move.Moved]]) -> Flow[move.Moved | None]:
    keys = [key for key in _keys(scene, view) if key.route.fill]
    return (yield from carry(view, view.epoch, keys)) if keys else None


def conductor(scene: Scene, process: Process, path: tuple[Phase, ...], target: Layout, hold: float) -> Script:
    """rebalance.conductor, without its lease: publish, wait until everybody knows, do the work of the phase."""
    chance, until = scene.world.chance, scene.now + BESIDE_HEALING - 3
    yield Sleep(chance.random() * 0.6 + 0.2)
    while scene.world.faults.gone and scene.now < until and not process.view.state.accused:
        yield from waiting(scene, process, 0.1)
    if process.view.state.accused:  # It begins just when processes take a node out.
        yield Sleep(process.view.decided_after + chance.uniform(-0.1, 0.2))
    yield from process.prove()
    fence = yield from _insist(process, move.new_fence)
    while process.view.state.topology.phase is not Phase.STABLE:  # Processes take a node back.
        yield from waiting(scene, process, 0.1)
    for phase in path:
        yield from _insist(process, _publish_next, phase, target, fence)
        yield Sleep(hold)
        scene.world.say(f"everybody is in {phase}")
        if phase is Phase.PREPARE:
            yield from _discard(scene, process, lambda route: route.joining)
        elif phase in (Phase.COPY, Phase.FLIP):
            for _ in range(20):
                moved = yield from process.run(_carry_all, scene, scene.flows.carry)
                if moved is None or not (moved.failed or (phase is Phase.FLIP and moved.filled)):
                    break
                yield Sleep(0.05)
            if phase is Phase.FLIP and moved and not moved.failed:
                yield from _discard(scene, process, lambda route: route.first.purge)
        elif phase is Phase.SETTLE:
            yield from _discard(scene, process, lambda route: route.first.purge)


def _publish_next(view: View, phase: Phase, target: Layout, fence: int) -> Flow[None]:
    before = view.state.topology
    if before.phase is phase:  # It was published, and is told those that were not reached.
        topology = before
    elif before.phase is Phase.STABLE:
        topology = before.begin(target, fence)
    elif before.phase is Phase.FLIP and phase is Phase.STABLE:  # A broken rule: settle is left out.
        topology = before.served_by(target, fence)
    else:
        topology = before.step(phase, fence)
    yield from move.publish(view, topology, fence)


def _discard(scene: Scene, process: Process, nodes: Callable[[Any], tuple[str, ...]]) -> Script:
    for key in _keys(scene, process.view):
        for node in nodes(key.route):
            try:
                yield from process.run(move.discard, process.view.epoch, node, [key])
            except (NodeFailure, Conflict):
                pass


def _insist(process: Process, flow: Callable[..., Flow[Any]], *arguments: Any) -> Script:
    while True:
        try:
            return (yield from process.run(flow, *arguments))
        except (NoMajority, Conflict):
            yield Sleep(0.2)
            yield from process.prove()
