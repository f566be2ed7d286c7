"""Resizes under load: whole, killed, repeated, turned back, two at once."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from random import Random
from typing import Any

from dcache_manager.rebalance.plan import edit
from django_dcache.model.topology import Layout, Node, Topology

from ..arena import Arena
from .fault import fault

LONGEST = 90.0
"""Seconds for a resize to come to its end after the last fault."""
PHASE = 10.0
"""Seconds in which it comes to its next phase, mostly."""


@fault
def rebalance(arena: Arena, chance: Random) -> Iterator[str]:
    """Nodes join and leave."""
    desired, words = _another(arena, chance)
    with _conductor(arena, desired) as process:
        yield words
        _end(arena, process, desired)


@fault
def rebalance_killed(arena: Arena, chance: Random) -> Iterator[str]:
    """Conductors that die, one after the other, until one comes through."""
    desired, words = _another(arena, chance)
    for _ in range(chance.randint(1, 2)):
        with _conductor(arena, desired):
            time.sleep(chance.uniform(1.0, 6.0))
    with _conductor(arena, desired) as process:
        yield words
        _end(arena, process, desired)


@fault
def rebalance_cancelled(arena: Arena, chance: Random) -> Iterator[str]:
    """A conductor dies and the next one goes back."""
    before = _topology(arena).layouts[0]
    desired, words = _another(arena, chance)
    with _conductor(arena, desired):
        time.sleep(chance.uniform(1.5, 8.0))
    with _conductor(arena, None) as process:
        yield words
        _end(arena, process, None if process.poll() is None else before)


@fault
def rebalance_twice(arena: Arena, chance: Random) -> Iterator[str]:
    """Two conductors at once: one of them leads."""
    desired, words = _another(arena, chance)
    with _conductor(arena, desired) as first, _conductor(arena, desired) as second:
        yield words
        _end(arena, first, None)
        _end(arena, second, None)
        if _topology(arena).layouts[0] != desired:
            arena.complain("I9 migration", f"neither of two conductors made it: {words}")


@fault
def rebalance_while_frozen(arena: Arena, chance: Random) -> Iterator[str]:
    """Processes that sleep through several epochs, and wake in another fleet."""
    desired, words = _another(arena, chance)
    sleepers = chance.sample(arena.workers, 2)
    with _conductor(arena, desired) as process:
        for _ in range(3):
            for worker in sleepers:
                worker.freeze()
            time.sleep(chance.uniform(1.0, 3.0))
            for worker in sleepers:
                worker.thaw()
            time.sleep(chance.uniform(0.0, 0.5))
        yield f"{words}, {' '.join(f'w{worker.number}' for worker in sleepers)} asleep"
        _end(arena, process, desired)


@fault
def rebalance_while_cut_off(arena: Arena, chance: Random) -> Iterator[str]:
    """Processes that don't hear of the next phase, and go on by the one before; or lack a node while keys move."""
    desired, words = _another(arena, chance)
    with _conductor(arena, desired) as process:
        for _ in range(chance.randint(1, 2)):
            _await_phase(arena, process)
        while process.poll() is None:
            time.sleep(chance.uniform(0, arena.terms.freshness))
            keepers = sorted(set(chain(*_topology(arena).keepers)))
            names = keepers if chance.random() < 0.7 else chance.sample(arena.serving(), 1)
            workers = chance.sample(arena.workers[1:], 2)
            proxies = [proxy for name in names for proxy in arena.networks(name, workers)]
            for proxy in proxies:
                proxy.blackhole("both")
            _await_phase(arena, process)
            time.sleep(chance.uniform(0.5, 1.5))
            for proxy in proxies:
                proxy.heal()
            _await_phase(arena, process)
        yield words
        _end(arena, process, desired)


def _await_phase(arena: Arena, process: subprocess.Popen[bytes]) -> None:
    """Until the resize has come to another phase, or to its end."""
    epoch, give_up = _topology(arena).epoch, time.monotonic() + PHASE
    while _topology(arena).epoch == epoch and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)


def _topology(arena: Arena) -> Topology:
    return arena.fleet.proven_view().state.topology


def _another(arena: Arena, chance: Random) -> tuple[Layout, str]:
    """A layout that differs from the present one by a node or two."""
    layout = _topology(arena).layouts[-1]
    serving = [node.name for node in layout.nodes]
    spare = arena.spare()
    # Three nodes at least: with fewer there is no majority to speak of.
    most = max(4, arena.terms.nodes)
    add = chance.sample(spare, min(len(spare), chance.randint(1, 2) if len(serving) <= most else 0))
    remove = chance.sample(serving, 1) if len(serving) + len(add) > most else []
    for name in add:
        if not arena.node(name).running:
            arena.node(name).start()
    nodes = [Node(name, arena.node(name).address) for name in add]
    words = " ".join([f"+{name}" for name in add] + [f"-{name}" for name in remove])
    return edit(layout, nodes, remove), words


@contextmanager
def _conductor(arena: Arena, desired: Layout | None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a resize to `desired`, or back; killed at the end if it still does."""
    target: dict[str, Any] | None = None
    if desired is not None:
        target = Topology(1, desired).to_json()["layout"]
    process = arena.python("conduct", arena.spec(arena.operators) | {"target": target})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _end(arena: Arena, process: subprocess.Popen[bytes], desired: Layout | None) -> None:
    try:
        process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        arena.complain("I9 migration", f"a resize did not end: {_topology(arena).phase}")
        return
    # A conductor may give up while nodes are away; the next run has to come to the end.
    if desired is not None and _topology(arena).layout != desired:
        with _conductor(arena, desired) as again:
            try:
                again.wait(LONGEST)
            except subprocess.TimeoutExpired:
                pass
        topology = _topology(arena)
        if topology.layout != desired:
            arena.complain("I9 migration", f"two runs did not make the layout that was wanted: {topology.phase}")
