"""The situations in which the contract must hold, and keys for it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.commands import Value
from django_dcache.flows.copies import Copies
from django_dcache.model import keys as names
from django_dcache.model.view import View
from django_dcache.testing import LocalFleet, LocalNode
from support.ignite import needs_ignite


@dataclass(frozen=True)
class Situation:
    """A fleet, and what happened to its first node after its state was planted."""

    nodes: int
    replicas: int
    fault: str = ""
    engine: str = "memcached"

    def __str__(self) -> str:
        engine = "" if self.engine == "memcached" else f", {self.engine}"
        return f"{self.nodes} nodes, R={self.replicas}{', one ' if self.fault else ''}{self.fault}{engine}"

    @property
    def some_copies_left(self) -> bool:
        return not self.fault or self.nodes > 1


HEALTHY = [Situation(nodes, replicas) for nodes in (1, 3, 5) for replicas in (1, 2)]
FAULTY = [Situation(s.nodes, s.replicas, fault) for s in HEALTHY for fault in ("killed", "hung")]
REDIS = [Situation(3, replicas, fault, "redis") for replicas, fault in ((1, ""), (2, ""), (2, "killed"), (2, "hung"))]
MEMORY = [Situation(3, replicas, fault, "memory") for replicas, fault in ((1, ""), (2, ""), (2, "killed"))]
IGNITE = [Situation(3, 2, "", "ignite")]
_numbers = count()


class Scene:
    """A situation that was set up."""

    def __init__(self, situation: Situation, local: LocalFleet):
        self.situation, self.local = situation, local
        self.broken: LocalNode | None = None
        options = {"replicas": situation.replicas, "fleet": f"r{situation.replicas}", "hash_tags": True}
        # Only a node that hangs should ever exceed it, however busy the machine is; but then it is waited for.
        # What proves the view waits for it too, for half of that: it has to come well before the last proof is over.
        options |= (
            {"timeout": 2.0, "freshness": 8.0}
            if situation.fault == "hung"
            else {"timeout": 20.0, "connect_timeout": 5.0}
        )
        if situation.replicas == 1 or situation.nodes == 1:
            options["eject_after"] = 0  # No other node stands in for it: its keys stay lost.
        self.cache = DistributedCache(local.addresses, {"OPTIONS": options})
        self.cache.set("planted", True)
        if situation.fault:
            self.broken = local.nodes[0]
            self.broken.kill() if situation.fault == "killed" else self.broken.freeze()

    def has_copy(self, key: str) -> bool:
        """Whether a node that works holds `key`."""
        route = self.cache.fleet.view.place(names.name(self.cache.make_key(key))).route
        return self.broken is None or any(node != self.broken.name for node in route.read)

    def ends(self, key: str) -> list[float]:
        """When each copy of `key` expires, in Unix time; -1: never."""
        name = names.name(self.cache.make_key(key))

        def ask(view: View) -> Any:
            working = (node for node in view.state.topology.nodes if self.broken is None or node != self.broken.name)
            copies = Copies(view, name)
            return (yield {node: [copies.get(node, value=False, ttl=True)] for node in working})

        found = [reply for (reply,) in self.cache.fleet.run(ask).values() if isinstance(reply, Value)]
        return [-1 if reply.ttl is None else time.time() + reply.ttl for reply in found]

    def keys(self, count: int, copies: bool = True) -> list[str]:
        """New keys with (or without) a working copy. All versions of a key are on the same nodes: tags see to it."""
        found: list[str] = []
        while len(found) < count:
            key = f"{{{next(_numbers)}}}"
            if self.has_copy(key) is copies:
                found.append(key)
        return found


class Stage:
    """Sets each situation up when it is first asked for, on nodes of its own: on shared ones clear() has to wait."""

    def __init__(self, closing: ExitStack):
        self._closing = closing
        self._scenes: dict[Situation, Scene] = {}

    def scene(self, situation: Situation) -> Scene:
        if situation.engine == "ignite":
            needs_ignite()
        if situation not in self._scenes:
            nodes = self._closing.enter_context(LocalFleet(situation.nodes, situation.engine))
            self._scenes[situation] = Scene(situation, nodes)
        return self._scenes[situation]


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with ExitStack() as closing:
        yield Stage(closing)


@pytest.fixture(
    params=HEALTHY + [situation for situation in FAULTY if situation.some_copies_left] + REDIS + IGNITE + MEMORY,
    ids=str,
)
def scene(request: pytest.FixtureRequest, stage: Stage) -> Scene:
    """Any situation in which some keys have a copy that works."""
    return stage.scene(request.param)


@pytest.fixture(params=[s for s in FAULTY if s.replicas == 1 or s.nodes == 1], ids=str)
def lossy_scene(request: pytest.FixtureRequest, stage: Stage) -> Scene:
    """Any situation in which some keys have lost their only copy."""
    return stage.scene(request.param)


@pytest.fixture
def cache(scene: Scene) -> DistributedCache:
    return scene.cache


@pytest.fixture
def key(scene: Scene) -> str:
    """A new key with a working copy."""
    return scene.keys(1)[0]


@pytest.fixture
def keys(scene: Scene) -> list[str]:
    """Twenty new keys with working copies."""
    return scene.keys(20)
