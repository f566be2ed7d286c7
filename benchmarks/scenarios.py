"""What can be measured, by the name it has on the command line. Each scenario gives its tables one by one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from . import distinct
from . import operations as ops
from .backends import FLOOR, ONE_NODE, OURS, PEERS, Backend, every_redis, ours, peer
from .measure import interleaved
from .servers import running
from .table import Row, Table


@dataclass(frozen=True)
class Terms:
    """How to measure: `samples` of each cell, without the backends named in `absent`."""

    samples: int
    absent: frozenset[str]
    keys: int = distinct.KEYS
    """How many there are of those that are seen once."""

    def present(self, backends: Iterable[Backend]) -> list[Backend]:
        return [backend for backend in backends if backend.name not in self.absent]


ONE_KEY, MANY_KEYS = "One key, three nodes", "Many keys, three nodes"
Scenario = Callable[[Terms], Iterator[Table]]


def standard(terms: Terms) -> Iterator[Table]:
    """Three nodes, one replica, small values: every operation, every backend."""
    backends = [FLOOR, *PEERS, ours(), ours(speed=True)]
    yield from _compare(ONE_KEY, 3, backends, ops.ONE_KEY, terms)
    yield from _compare(MANY_KEYS, 3, backends[1:], ops.MANY_KEYS, terms)


def distinct_keys(terms: Terms) -> Iterator[Table]:
    """A million keys, each seen once, and keys by Zipf's law: the peers that most sites have."""
    usual = ("PyMemcache", "PyLibMC", "django-redis", "Django's RedisCache")
    backends = terms.present([*map(peer, usual), ours(), ours(speed=True)])
    with running(3, memory=1024) as servers:
        distinct.prepare(backends, servers, terms.keys)
        caches = {backend.name: backend.make(servers) for backend in backends}
        us, cpu_us = _measure(caches, distinct.operations(terms.keys), terms)
    title = f"{terms.keys:,} distinct keys, three nodes"
    yield Table(f"{title}: µs per call", us)
    yield Table(f"{title}: µs of the client's CPU per call", cpu_us)


def redis(terms: Terms) -> Iterator[Table]:
    """Three Redis nodes, one replica, beside the backends that have one Redis node."""
    backends = [
        *(backend for backend in PEERS if backend.name.endswith(ONE_NODE)),
        *(ours(speed=speed, location=every_redis) for speed in (False, True)),
    ]
    yield from _compare("One key, three Redis nodes", 0, backends, ops.ONE_KEY, terms, redis=3)
    yield from _compare("Many keys, three Redis nodes", 0, backends, ops.MANY_KEYS, terms, redis=3)


def nodes(terms: Terms) -> Iterator[Table]:
    """1, 3, 10 and 50 nodes."""
    chosen = (ops.GET, ops.SET, ops.get_many(10), ops.get_many(100), ops.set_many(100))
    backends = terms.present([peer("PyMemcache"), peer("PyLibMC"), ours(), ours(speed=True)])
    counts = (1, 3, 10, 50)
    with ExitStack() as stack:
        fleets = {count: stack.enter_context(running(count)) for count in counts}
        caches = {_on(backend.name, count): backend.make(fleets[count]) for backend in backends for count in counts}
        us, cpu_us = _measure(caches, chosen, terms)
    small, large = cpu_us[_on(OURS, 3)], cpu_us[_on(OURS, 50)]
    growth = ", ".join(f"{operation} {large[operation] / small[operation]:.2f}" for operation in small)
    yield Table("1 to 50 nodes: µs per call", us)
    yield Table("1 to 50 nodes: µs of the client's CPU per call", cpu_us, notes=(f"50 nodes / 3 nodes: {growth}.",))


def _on(name: str, nodes: int) -> str:
    return f"{name}, {nodes} node{'s' * (nodes > 1)}"


def replicas(terms: Terms) -> Iterator[Table]:
    """Each key on one node or on two. No peer has replicas, so they are beside themselves."""
    with running(3) as servers:
        caches = {f"{OURS}, R = {count}": ours(count).make(servers) for count in (1, 2)}
        us, _ = _measure(caches, ops.TABLE, terms)
    yield Table("Replicas, three nodes: µs per call", us)


def keys(terms: Terms) -> Iterator[Table]:
    """get_many, set_many and delete_many of 1, 10, 100 and 1,000 keys."""
    for make in (ops.get_many, ops.set_many, ops.delete_many):
        chosen = [make(count) for count in (1, 10, 100, 1000)]
        yield from _compare(make.__name__, 3, [*PEERS, ours(), ours(speed=True)], chosen, terms, cpu=False)


def sizes(terms: Terms) -> Iterator[Table]:
    """Values of 100 B, 1 KB and 64 KB."""
    chosen = [make(label) for make in (ops.get_sized, ops.set_sized) for label in ops.SIZES]
    yield from _compare("Sizes", 3, [FLOOR, *PEERS, ours(), ours(speed=True)], chosen, terms, cpu=False)


def _compare(
    title: str,
    count: int,
    backends: Sequence[Backend],
    chosen: Sequence[ops.Operation],
    terms: Terms,
    cpu: bool = True,
    redis: int = 1,
) -> Iterator[Table]:
    """Time and, with `cpu`, the client's share of it, of several backends on the same nodes."""
    with running(count, redis=redis) as servers:
        caches = {backend.name: backend.make(servers) for backend in terms.present(backends)}
        us, cpu_us = _measure(caches, chosen, terms)
    yield Table(f"{title}: µs per call", us)
    if cpu:
        yield Table(f"{title}: µs of the client's CPU per call", cpu_us)


def _measure(
    caches: Mapping[str, Any], chosen: Sequence[ops.Operation], terms: Terms
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Microseconds per call, and those of the client's CPU, by the names of `caches`."""
    calls = {
        (operation.name, name): call
        for operation in chosen
        for name, cache in caches.items()
        if (call := _ready(operation, name, cache))
    }
    us: dict[str, Row] = {name: {} for name in caches}
    cpu_us: dict[str, Row] = {name: {} for name in caches}
    for (operation_name, name), figure in interleaved(calls, terms.samples).items():
        us[name][operation_name], cpu_us[name][operation_name] = figure.us, figure.cpu_us
    for cache in caches.values():
        cache.close()
    return us, cpu_us


def _ready(operation: ops.Operation, name: str, cache: Any) -> ops.Call | None:
    """The call, once it was seen to do what it should; None where the floor has no such operation."""
    floor = name == FLOOR.name
    try:
        operation.prepare(cache)
        call = operation.bind(cache)
    except AttributeError:
        if floor:
            return None
        raise
    try:
        result = call()
    except NotImplementedError:
        return None  # Not every backend has every method.
    if not floor and not operation.right(result):
        raise SystemExit(f"{name}: {operation.name} gave {result!r}")
    return call
