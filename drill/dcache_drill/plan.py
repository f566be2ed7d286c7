"""What a drill is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALIAS = "drill"
PREFIX = "dcache-drill"
ENGINES = ("memcached", "redis", "valkey", "ignite")
TERMS: Mapping[str, Mapping[str, Any]] = {"ignite": {"timeout": 0.5, "rate": 100.0, "spares": 1}}
"""What a drill on nodes of an engine is made of, unless told otherwise: a Java takes its time, and seconds to start."""
NEAR_BYTES = 4_000_000
WEIGHTS = {
    "get": 22, "load": 26, "commit": 9, "set": 8, "delete": 3, "add": 3, "touch": 3,
    "get_many": 4, "set_many": 2, "delete_many": 1, "count": 9, "look_at_counter": 2,
    "log_in": 2, "save_session": 1, "log_out": 2, "load_session": 4,
    "load_tagged": 8, "store_tagged": 2, "change_tagged": 3, "evict_tag": 1,
}  # fmt: skip
"""How often a worker does what, compared with the rest."""
READ_ONLY = dict.fromkeys(WEIGHTS, 0)
READ_ONLY |= {"get": 22, "get_many": 60, "touch": 10, "look_at_counter": 2, "load_session": 4}
"""The weights of a worker that changes no value."""


@dataclass(frozen=True)
class Plan:
    """What a drill is made of; with its seed, all that is needed to run it again."""

    seed: int = 1
    seconds: float = 60.0
    replicas: int = 1
    engine: str = "memcached"
    """Of nodes of our own."""
    location: tuple[str, ...] = ()
    """Addresses of nodes that are not ours: then only networks and processes are broken. None: nodes of our own."""
    nodes: int = 4
    spares: int = 2
    """Nodes that are running and not in the fleet yet."""
    workers: int = 5
    readers: int = 0
    """How many of the workers only read, and meet nodes directly."""
    far_readers: int = 0
    """How many others only read, over networks that break: what another process gave up they hear from the keepers."""
    rate: float = 500.0
    """Operations a second that each worker tries for that writes too."""
    reading_rate: float = 500.0
    """The same of each that only reads."""
    freshness: float = 0.5
    timeout: float = 0.2
    eject_after: float = 2.0
    """0: processes take no node out, nor do they ask the keepers sooner because a node has failed."""
    on_unproven: str = "miss"
    near: bool = False
    """Whether each worker has a near cache."""
    memory_mb: int = 64
    """Of each node."""
    faults: tuple[str, ...] = ()
    """Only these; none named: all. "one+other" is both at once."""
    calm: float = 2.5
    """Seconds between two faults, and three times as long at the end."""
    slow_loader: float = 1.5
    """Seconds that the slowest loaders take."""
    slow_loads: float = 0.01
    """The part of the loaders that take a good part of that; one in ten of them takes all of it."""
    zipf: float = 0.9
    """How uneven the use of keys is."""
    drift: float = 0.0
    """Seconds after which other keys are the hot ones, in all workers at once; 0: the same keys for ever."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Where a worker's weights differ from WEIGHTS."""
    plugin: str = ""
    """"module:function", called without arguments in each process before anything else (tests plant mistakes by it)."""

    @classmethod
    def on(cls, engine: str, **changes: Any) -> "Plan":
        """The usual one on nodes of this engine, with what is not None in the changes."""
        return cls(engine=engine, **{**TERMS.get(engine, {}), **{k: v for k, v in changes.items() if v is not None}})

    def reads_only(self, number: int) -> bool:
        """Whether the worker with this number does: some of the first, and some of the last."""
        return number < self.readers or self.workers - self.far_readers <= number < self.workers

    @property
    def options(self) -> dict[str, Any]:
        """OPTIONS of the alias."""
        times = {"freshness": self.freshness, "timeout": self.timeout, "connect_timeout": self.timeout}
        # Waiting for another process's loader is no time of the cache's, and shows nothing when it is long.
        # Conductors and the testbed run without a site's settings, and sign the state as the workers do.
        more = {"on_unproven": self.on_unproven, "load_wait": self.timeout, "secret": ALIAS}
        times |= {"eject_after": self.eject_after}
        near = {"near": {"bytes": NEAR_BYTES}} if self.near else {}
        return {"replicas": self.replicas, "fleet": ALIAS, **more, **near, **times}

    @property
    def hold(self) -> float:
        """Seconds after which no process can act by an older state: `View.hold`."""
        return self.freshness + 2 * self.timeout


def options(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The OPTIONS of a process with this spec (`Testbed.spec`): it meets nodes over its own networks."""
    remap = spec["remap"]
    return spec["options"] | {"address_remap": lambda address: remap.get(address, address)}
