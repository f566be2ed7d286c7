"""Every method of the cache, on every road, while one node is at fault: what it answers, counts, and asks of the nodes.

A *road* is how an operation comes to its nodes: by the short cut, by its flow over the same idle connections, or on an
event loop. Three nodes hold the keys and the fleet state. A fault is the first one's, and leaves a majority of keepers,
unless the process is cut off from all of them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

from django_dcache.backend import DistributedCache
from django_dcache.errors import NoReplica
from django_dcache.flows.consensus import agree, bump
from django_dcache.model import keys
from django_dcache.model.keys import RESERVED
from django_dcache.model.topology import Node, Phase
from django_dcache.testing import FaultProxy, LocalFleet
from django_dcache.transport.breaker import State
from support.method_cases import Case, Keys
from support.stopwatch import Stopwatch

ROADS = ("short cut", "flow", "async")
STATES = ("healthy", "lost reply", "refused", "silent", "quarantined", "moving", "cut off")
"""Of the first node: healthy, one reply lost, connections refused, no reply, the keys' slots bumped. Then: the keys are
being copied to other nodes; no node can be reached."""
TIMEOUT = 1.0
"""Seconds, where it is waited for; elsewhere it is so long that no machine is too busy."""
LONG_TIMEOUT = 10.0
NODES = [f"10.0.0.{number}:7000" for number in range(1, 5)]
"""As the fleet knows them: keys lie on the same ones in every network."""
_serials = count()


class Result(NamedTuple):
    """What one call came to."""

    outcome: Any
    """What it returned, or the type of what it raised."""
    counters: dict[str, int]
    """By how much the process's counters grew."""
    questions: dict[str, int]
    """Commands about data that each node got, and those about the fleet state together."""
    answer: Any
    failing: Any
    """What the case says, for the keys of this call."""

    @property
    def did(self) -> tuple[Any, dict[str, int], dict[str, int]]:
        """What is the same on every road."""
        return self.outcome, {**self.counters, "bumps_owed": 0}, self.questions

    @property
    def owed(self) -> int:
        """Bumps that no majority of keepers could be told."""
        return self.counters.get("bumps_owed", 0)

    @property
    def failures(self) -> int:
        return self.counters.get("failures", 0)

    def __repr__(self) -> str:
        outcome = self.outcome.__name__ if isinstance(self.outcome, type) else repr(self.outcome)
        return f"{outcome}, counted {self.counters}, asked {self.questions}"


class StoodStill(Exception):
    """The machine was so busy that a healthy node seemed slow or silent, or may have."""


class Network:
    """Four nodes, each behind a proxy that counts what it is asked. The fourth is not in the fleet until keys move."""

    def __init__(self, closing: ExitStack):
        nodes = closing.enter_context(LocalFleet(4))
        self.proxies = [closing.enter_context(FaultProxy(node.address)) for node in nodes.nodes]
        self._reached = {node: proxy.address for node, proxy in zip(NODES, self.proxies, strict=True)}
        self.asked: Counter[str] = Counter()
        for node, proxy in zip(NODES, self.proxies, strict=True):
            proxy.on_command = lambda command, node=node: self._note(node, command)

    def _note(self, node: str, command: bytes) -> None:
        verb, key, *_ = *command.split(None, 2), b""
        if verb != b"mn" and key != RESERVED:  # Those two only mark the end of a batch.
            self.asked["state" if key.startswith(RESERVED) else node] += 1

    @contextmanager
    def at_fault(self, state: str) -> Iterator[None]:
        """The first node has this fault; nothing is asked yet."""
        victim = self.proxies[0]
        if state == "lost reply":
            victim.cut_after(0, times=1)
        elif state == "refused":
            victim.refuse()
            victim.drop_connections()
        elif state == "silent":
            victim.hold("replies")
        elif state == "cut off":
            for proxy in self.proxies:
                proxy.refuse()
                proxy.drop_connections()
        self.asked.clear()
        try:
            yield
        finally:
            for proxy in self.proxies:
                proxy.heal()

    def play(self, case: Case, state: str, replicas: int, road: str, on_error: str) -> Result:
        """One call in a process of its own, as it were: nothing is remembered but what is prepared here."""
        for _ in range(20):
            with suppress(StoodStill):
                return self._play(case, state, replicas, road, on_error)
        raise StoodStill

    def _play(self, case: Case, state: str, replicas: int, road: str, on_error: str) -> Result:
        serial = next(_serials)
        cache = DistributedCache(
            NODES[:3],
            {
                "OPTIONS": {
                    "fleet": f"roads{serial}",
                    "replicas": replicas,
                    "on_error": on_error,
                    "timeout": TIMEOUT if state == "silent" else LONG_TIMEOUT,
                    # While keys move clear() waits, until no process reads what was there.
                    "freshness": 8 if (case.method, state) == ("clear", "moving") else 600,
                    "clear_nodes": True,  # else it waits where a node may be shared, too
                    "eject_after": 0,  # else the state is looked at as soon as a node may be accused
                    "hash_tags": True,
                    "address_remap": self._reached.__getitem__,
                }
            },
        )
        try:
            if state == "moving":
                self._move(cache)
            with Stopwatch() as watch:
                result = Call(self, cache, self._keys(cache, serial, state), case, state).made(road)
        finally:
            cache.fleet.close()
        if state == "silent" and watch.longest > TIMEOUT / 8:
            raise StoodStill
        return result

    def _move(self, cache: DistributedCache) -> None:
        """Keys are being copied to the layout that has the fourth node."""
        added = Node.at(NODES[3])

        def begun(state: Any) -> Any:
            layout = state.topology.layout
            return replace(state, topology=state.topology.begin(replace(layout, nodes=(*layout.nodes, added))))

        cache.fleet.proven_view()
        assert cache.fleet.run(agree, begun).majority
        assert cache.fleet.run(agree, lambda state: replace(state, topology=state.topology.step(Phase.COPY))).majority

    def _keys(self, cache: DistributedCache, serial: int, state: str) -> Keys:
        """Tags see to it that the same nodes have them in every play, and that all versions of a key are together."""
        view, victim = cache.fleet.proven_view(), NODES[0]

        def struck(key: str) -> bool:
            route = view.place(keys.name(cache.make_key(key))).route
            return bool(route.joining) if state == "moving" else route.read[0] == victim

        def spared(key: str) -> bool:
            route = view.place(keys.name(cache.make_key(key))).route
            return route.read[0] != victim and not route.joining

        made = [f"{{{number}}}:{serial}" for number in range(400)]
        first, second, *rest = filter(struck, made)
        return Keys(first, second, tuple(rest[:2]), tuple(filter(spared, made))[:2])

    def quarantine(self, cache: DistributedCache, chosen: Keys) -> None:
        """The slots of the struck keys, on the first node, are disowned."""
        view, victim = cache.fleet.view, NODES[0]
        struck = (chosen.present, chosen.absent, *chosen.struck)
        slots = {(victim, view.place(keys.name(cache.make_key(key))).slot) for key in struck}
        assert cache.fleet.run(bump, slots)


def told(outcome: Any) -> Any:
    """What a call came to, whatever its keys are called in this play and in whichever order they came."""
    if isinstance(outcome, dict):
        return {key.partition(":")[0]: value for key, value in outcome.items()}
    return sorted(key.partition(":")[0] for key in outcome) if isinstance(outcome, list) else outcome


@dataclass(frozen=True)
class Call:
    """One case on one cache, with its keys."""

    network: Network
    cache: DistributedCache
    keys: Keys
    case: Case
    state: str

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.case.arguments(self.keys)

    def expected(self, what: Any) -> Any:
        keys = self.keys
        if self.state == "cut off":
            keys = keys._replace(struck=keys.several, spared=())
        return told(what(keys) if callable(what) and not isinstance(what, type) else what)

    def result(self, outcome: Any, before: Counter[str]) -> Result:
        grown = Counter(self.cache.fleet.counters)
        grown.subtract(before)
        return Result(
            told(outcome),
            # Which operation finds a node down is a matter of milliseconds.
            {name: by for name, by in grown.items() if by and name != "nodes_lost"},
            dict(self.network.asked),
            self.expected(self.case.answer),
            self.expected(self.case.failing),
        )

    def prepared(self) -> None:
        """All is as it has to be before the fault. Raises StoodStill."""
        fleet = self.cache.fleet
        pools = fleet.transport.pools().values()
        if fleet.counters or fleet.view.avoid or any(pool.breaker.state is not State.UP for pool in pools):
            raise StoodStill
        if self.state == "quarantined":
            self.network.quarantine(self.cache, self.keys)
        elif [*fleet.view.state.unsettled()]:
            raise StoodStill

    def made(self, road: str) -> Result:
        """Connected by a few harmless calls, the cache is asked while the node is at fault."""
        if road == "async":
            return asyncio.run(self._made_async())
        cache, keys = self.cache, (self.keys.present, self.keys.absent, *self.keys.several)
        cache.set_many(dict.fromkeys((self.keys.present, *self.keys.several), 7))
        cache.get_many(keys)
        for key in keys:
            cache.get(key)
            cache.touch(key)
        self.prepared()
        if road == "flow":
            take_the_flow(cache)
        before = Counter(cache.fleet.counters)
        with self.network.at_fault(self.state):
            try:
                outcome = getattr(cache, self.case.method)(*self.arguments)
            except (ValueError, NoReplica) as error:
                outcome = type(error)
            return self.result(outcome, before)

    async def _made_async(self) -> Result:
        cache, keys = self.cache, (self.keys.present, self.keys.absent, *self.keys.several)
        await cache.aset_many(dict.fromkeys((self.keys.present, *self.keys.several), 7))
        await cache.aget_many(keys)
        for key in keys:
            await cache.aget(key)
            await cache.atouch(key)
        self.prepared()
        before = Counter(cache.fleet.counters)
        with self.network.at_fault(self.state):
            try:
                outcome = await getattr(cache, f"a{self.case.method}")(*self.arguments)
            except (ValueError, NoReplica) as error:
                outcome = type(error)
            return self.result(outcome, before)


def take_the_flow(cache: DistributedCache) -> None:
    """The short cut leaves alone what is no plain TCP connection: idle ones are made to look as if they were not."""
    for pool in cache.fleet.transport.pools().values():
        for connection in pool.idle:
            connection.direct = False
