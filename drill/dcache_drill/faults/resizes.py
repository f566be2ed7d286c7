"""Resizes under load: whole, killed, repeated, turned back, two at once."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Any

from django_dcache.model.topology import Layout, Node, Topology

from ..core_time import waited_for_core
from ..testbed import Testbed
from .nodes import away_seconds

RESIZE_SECONDS = 90.0
"""For a resize to come to its end after the last fault, and as long as its conductor waited for a core besides."""
LOOK_SECONDS = 1.0
PHASE_SECONDS = 10.0
"""In which it comes to its next phase, mostly."""


def rebalance(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Nodes join and leave."""
    desired, words = _another(testbed, chance)
    with _conductor(testbed, desired) as process:
        yield words
        _end(testbed, process, desired)


def rebalance_killed(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Conductors that die, one after the other, until one comes through."""
    desired, words = _another(testbed, chance)
    for _ in range(chance.randint(1, 2)):
        with _conductor(testbed, desired):
            time.sleep(chance.uniform(1.0, 6.0))
    with _conductor(testbed, desired) as process:
        yield words
        _end(testbed, process, desired)


def rebalance_cancelled(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A conductor dies and the next one goes back."""
    before = _topology(testbed).layouts[0]
    desired, words = _another(testbed, chance)
    with _conductor(testbed, desired):
        time.sleep(chance.uniform(1.5, 8.0))
    with _conductor(testbed, None) as process:
        yield words
        _end(testbed, process, None if process.poll() is None else before)


def rebalance_twice(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Two conductors at once: one of them leads."""
    desired, words = _another(testbed, chance)
    with _conductor(testbed, desired) as first, _conductor(testbed, desired) as second:
        yield words
        _end(testbed, first, None)
        _end(testbed, second, desired)  # Both give up where a node takes no connection meanwhile, as they should.


def rebalance_while_frozen(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Processes that sleep through several epochs, and wake in another fleet."""
    desired, words = _another(testbed, chance)
    sleepers = chance.sample(testbed.workers, 2)
    with _conductor(testbed, desired) as process:
        for _ in range(3):
            for worker in sleepers:
                worker.freeze()
            time.sleep(chance.uniform(1.0, 3.0))
            for worker in sleepers:
                worker.thaw()
            time.sleep(chance.uniform(0.0, 0.5))
        yield f"{words}, {' '.join(f'w{worker.number}' for worker in sleepers)} asleep"
        _end(testbed, process, desired)


def rebalance_while_cut_off(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Processes that don't hear of the next phase, and continue by the one before; or lack a node while keys move."""
    desired, words = _another(testbed, chance)
    with _conductor(testbed, desired) as process:
        for _ in range(chance.randint(1, 2)):
            _await_phase(testbed, process)
        while process.poll() is None:
            time.sleep(chance.uniform(0, testbed.plan.freshness))
            keepers = sorted(_topology(testbed).all_keepers)
            names = keepers if chance.random() < 0.5 else chance.sample(testbed.serving(), 1)
            networked = testbed.networked()
            workers = chance.sample(networked, max(2, len(networked) // 2))
            proxies = [proxy for name in names for proxy in testbed.networks(name, workers)]
            for proxy in proxies:
                proxy.blackhole("both")
            _await_phase(testbed, process)
            time.sleep(chance.uniform(0.5, 1.5))
            for proxy in proxies:
                proxy.heal()
            _await_phase(testbed, process)
        yield words
        _end(testbed, process, desired)


def rebalance_to_another_address(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node dies for long; it comes back empty at another address, where it takes the place of the dead one."""
    with testbed.holding(chance) as name:
        testbed.node(name).kill()
        time.sleep(away_seconds(testbed))
        new = chance.choice(testbed.spare())
        if not testbed.node(new).running:
            testbed.node(new).start()
        desired, words = _changed(testbed, [new], [name])
        with _conductor(testbed, desired) as process:
            yield words
            _end(testbed, process, desired)
        testbed.node(name).start()


def _await_phase(testbed: Testbed, process: subprocess.Popen[bytes]) -> None:
    """Until the resize has come to another phase, or to its end."""
    epoch, give_up = _topology(testbed).epoch, time.monotonic() + PHASE_SECONDS
    while _topology(testbed).epoch == epoch and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)


def _topology(testbed: Testbed) -> Topology:
    return testbed.fleet.proven_view().state.topology


def _another(testbed: Testbed, chance: Random) -> tuple[Layout, str]:
    """A layout that differs from the present one by a node or two."""
    layout = _topology(testbed).layouts[-1]
    serving = [node.name for node in layout.nodes]
    spare = testbed.spare()
    # Three nodes at least: with fewer there is no majority to speak of.
    most = max(4, testbed.plan.nodes)
    add = chance.sample(spare, min(len(spare), chance.randint(1, 2) if len(serving) <= most else 0))
    remove = chance.sample(serving, 1) if len(serving) + len(add) > most else []
    for name in add:
        if not testbed.node(name).running:
            testbed.node(name).start()
    return _changed(testbed, add, remove)


def _changed(testbed: Testbed, add: Sequence[str], remove: Sequence[str]) -> tuple[Layout, str]:
    layout = _topology(testbed).layouts[-1]
    nodes = [node for node in layout.nodes if node.name not in remove]
    nodes += [Node(name, testbed.node(name).address) for name in add]
    words = " ".join([f"+{name}" for name in add] + [f"-{name}" for name in remove])
    return replace(layout, nodes=tuple(nodes)), words


@contextmanager
def _conductor(testbed: Testbed, desired: Layout | None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a resize to `desired`, or back; killed at the end if it still does."""
    target: dict[str, Any] | None = None
    if desired is not None:
        target = Topology(1, desired).to_json()["layout"]
    process = testbed.python("resize_process", testbed.spec(testbed.conductors) | {"target": target})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _end(testbed: Testbed, process: subprocess.Popen[bytes], desired: Layout | None) -> None:
    began, waited = time.monotonic(), 0.0
    while process.poll() is None:
        waited = max(waited, waited_for_core(process.pid))
        seconds = time.monotonic() - began
        if seconds > RESIZE_SECONDS + waited:
            text = (
                f"a resize did not end in {seconds:.0f} s ({waited:.0f} s without a core): {_topology(testbed).phase}"
            )
            testbed.complain("I9 migration", text)
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
    # A conductor may give up while nodes are away, or are being taken out or back; one of the next has to come through.
    give_up = time.monotonic() + RESIZE_SECONDS
    while desired is not None and _topology(testbed).layout != desired and time.monotonic() < give_up:
        with _conductor(testbed, desired) as again, suppress(subprocess.TimeoutExpired):
            again.wait(max(0.0, give_up - time.monotonic()))
    topology = _topology(testbed)
    if desired is not None and topology.layout != desired:
        testbed.complain("I9 migration", f"no run made the layout that was wanted: {topology.phase}")
