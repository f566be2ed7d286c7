"""How one process speaks to the nodes of a fleet: a pool for each, whether threads or event loops use it."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from ..errors import NodeFailure, NodeUnresolved
from ..model.topology import Node, server_of
from .breaker import Breaker, State
from .limits import Limits
from .observer import Observer
from .outliers import FORGIVENESS, slow
from .pool import Pool


class Transport:
    """The pools of a fleet's nodes, for one process."""

    def __init__(
        self, limits: Limits = Limits(), clock: Callable[[], float] = monotonic, observer: Observer = Observer()
    ):
        self.limits, self.clock, self._observer = limits, clock, observer
        self._pools: dict[str, Pool] = {}
        self.awaited: frozenset[str] = frozenset()
        """The nodes without which nothing can be proven now, and those that other processes reach."""

    def serve(self, nodes: Mapping[str, Node]) -> None:
        """Speak to these nodes from now on. Connections of others are closed; one assignment swaps the set."""
        pools = {}
        for name, node in nodes.items():
            known = self._pools.get(name)
            # Weight, zone and state may change under a connection; another address is another process.
            same = known is not None and known.node.address == node.address
            pools[name] = known if known and same else Pool(node, self.limits, self._breaker(name), self._observer)
        gone = [pool for name, pool in self._pools.items() if pools.get(name) is not pool]
        self._pools = pools
        for pool in gone:
            pool.retire()

    def vouched(self, names: Iterable[str]) -> None:
        """Other processes reach these nodes, and have just begun to use them again."""
        for name in names:
            if pool := self._pools.get(name):
                pool.breaker.vouched()

    def ask_anew(self, names: Iterable[str]) -> None:
        """Whatever is known of these nodes, the next that is sent there is sent."""
        for name in names:
            if pool := self._pools.get(name):
                pool.breaker.hurry()

    def _breaker(self, name: str) -> Breaker:
        return Breaker(
            self.clock,
            siblings=lambda: [pool.breaker for pool in self._pools.values()],
            awaited=lambda: name in self.awaited,
        )

    def pool(self, name: str) -> Pool | None:
        """The one of the node that is spoken to under this name."""
        return self._pools.get(name) or self._pools.get(server_of(name))

    def pools(self) -> Mapping[str, Pool]:
        return self._pools

    def silent_nodes(self) -> dict[str, float]:
        """The nodes that have answered nothing since they failed first, and for how many seconds."""
        now = self.clock()
        failing = {name: pool.breaker.failing_since for name, pool in self._pools.items()}
        return {name: now - since for name, since in failing.items() if since is not None}

    def returned_nodes(self) -> dict[str, str]:
        """The nodes that have come back with what they held before, and in which incarnation (flows/returned.py)."""
        return {name: pool.returned for name, pool in self._pools.items() if pool.returned}

    def failures(self) -> dict[str, NodeFailure]:
        """What failed last, for each node that can't be used as any other."""
        up = State.UP
        return {
            name: pool.failure
            for name, pool in self._pools.items()
            if pool.failure and (pool.breaker.state is not up or isinstance(pool.failure, NodeUnresolved))
        }

    @property
    def unreachable(self) -> bool:
        """Whether every node is down and none is due for a probe: there is no node to ask."""
        return all(pool.breaker.refuses for pool in self._pools.values())

    def slow_nodes(self) -> frozenset[str]:
        """Those to avoid for reads. One that is avoided is forgiven a little at each look."""
        names = slow({name: pool.latency for name, pool in self._pools.items()})
        for name in names:
            self._pools[name].latency *= FORGIVENESS
        return names

    def forget(self) -> None:
        for pool in self._pools.values():
            pool.forget()
