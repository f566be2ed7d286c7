"""What lies on the nodes when a load is over, compared with what should."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import monotonic, time
from typing import NamedTuple

from django_dcache.engines.ignite.items import unpack
from django_dcache.engines.memcached.protocol import MONTH
from django_dcache.model import keys
from django_dcache.model.view import View
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalIgnite, LocalNode, LocalRedis
from django_dcache.values.plain import INTEGER, PICKLE
from support.load.bumps import Bumps
from support.load.truth import NEVER, Truth, counter_name, flags, key_name, stored

PREFIX = b":1:"
Node = LocalNode | LocalRedis | LocalIgnite
TTL_SLACK = 3.0
"""Seconds. Nodes count whole ones: what one says is up to one off, and each of two moves takes over what one said."""
LONG_TTL_SLACK = 8.0
"""Beyond 30 days a TTL is sent as a moment by the wall clock, and nodes read that clock differently too."""


class Copy(NamedTuple):
    """One item on one node. `ttl`: seconds left when it was read, -1: never expires."""

    node: str
    generation: int
    data: bytes
    flags: int
    ttl: float
    read_at: float

    def ttl_error(self, expires: float) -> float:
        """Seconds by which the TTL is too long."""
        if self.ttl == -1 or expires == NEVER:
            return 0.0 if self.ttl == -1 and expires == NEVER else NEVER
        return self.ttl - (expires - self.read_at)


@dataclass
class Inspection:
    copies: dict[bytes, list[Copy]]
    """By name."""
    strays: list[str] = field(default_factory=list)
    """Copies on nodes that do not own them."""
    checked: int = 0
    excused: int = 0
    """Keys in slots that were bumped: they may be gone."""
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    other_ttl: list[str] = field(default_factory=list)
    """The value is right, and ends at another time: a copy that did not answer to a touch keeps what it had."""
    """Copies with another value, other flags or another TTL than were written."""
    ttl_errors: list[float] = field(default_factory=list)
    """Seconds by which each TTL is too long."""

    def counter(self, counter: int) -> list[Copy]:
        """The copies of a counter."""
        return self.copies.get(PREFIX + counter_name(counter).encode(), [])


def inspect(fleet: Fleet, nodes: Iterable[Node], truth: Truth, bumps: Bumps, moves: int = 2) -> Inspection:
    """Everything on the running nodes against the truth. `bumps`: what the load saw. `moves`: how often a key may have
    been moved."""
    slack = TTL_SLACK + moves - 2
    view = fleet.proven_view()
    bumps.see(view.state)
    found = Inspection(_copies(nodes))
    for name, copies in found.copies.items():
        route, slot = view.place(name)
        owners = route.read
        for copy in copies:
            # What has an older generation is out of reach, also on a node that has left since.
            if copy.node not in owners and bumps.reachable(copy.node, slot, copy.generation):
                found.strays.append(f"{name!r} on {copy.node}")
    for key in range(truth.keys):
        look, name = truth.look(key), PREFIX + key_name(key).encode()
        if not look.certain(monotonic()):
            continue
        for copy in _owned(found, view, name, bumps):
            off = copy.ttl_error(look.expires)
            found.ttl_errors.append(off)
            said = f"{name!r} {copy._replace(data=copy.data[:40])}, TTL {off:+.1f} s off"
            if (copy.data, copy.flags) != (stored(key, truth.version(key)), flags(key)):
                found.different.append(said)
            elif abs(off) > (slack if copy.ttl <= MONTH else LONG_TTL_SLACK):
                found.other_ttl.append(said)
    for counter in range(truth.counters):
        for _ in _owned(found, view, PREFIX + counter_name(counter).encode(), bumps):
            pass
    return found


def _owned(found: Inspection, view: View, name: bytes, bumps: Bumps) -> Iterable[Copy]:
    """The reachable copies of a key that must be there."""
    route, slot = view.place(name)
    found.checked += 1
    for node in route.read:
        generation = view.generation(node, slot)
        copies = [copy for copy in found.copies.get(name, ()) if (copy.node, copy.generation) == (node, generation)]
        if not copies and bumps.of(slot):
            found.excused += 1
        elif not copies:
            found.missing.append(f"{name!r} on {node}")
        yield from copies


def _copies(nodes: Iterable[Node]) -> dict[bytes, list[Copy]]:
    copies: dict[bytes, list[Copy]] = defaultdict(list)
    for node in nodes:
        if node.running:
            for key, copy in _items(node):
                name, generation = keys.parse_wire_key(key)
                copies[name].append(copy._replace(generation=generation))
    return copies


def _items(node: Node) -> Iterator[tuple[bytes, Copy]]:
    """Wire keys and what lies under them, but for stubs; generations are told later."""
    if isinstance(node, LocalIgnite):
        return _of_ignite(node)
    return _of_redis(node) if isinstance(node, LocalRedis) else _of_memcached(node)


def _of_memcached(node: LocalNode) -> Iterator[tuple[bytes, Copy]]:
    wire_keys = [key for key in node.items() if not key.startswith(keys.RESERVED)]
    read_at = monotonic()
    answer = node.ask(b"".join(b"mg %b k v f t\r\n" % key for key in wire_keys), timeout=30.0)
    position = 0
    while position < len(answer):
        end = answer.index(b"\r\n", position)
        kind, *parts = answer[position:end].split(b" ")
        position = end + 2
        if kind != b"VA":
            continue
        size, (key, flag, ttl) = int(parts[0]), parts[1:4]
        data, position = answer[position : position + size], position + size + 2
        if b"Z" not in parts and b"W" not in parts:
            yield key[1:], Copy(node.name, 0, data, int(flag[1:]), int(ttl[1:]), read_at)


def _of_redis(node: LocalRedis) -> Iterator[tuple[bytes, Copy]]:
    left = {key: ttl for key, ttl in node.items().items() if not key.startswith(keys.RESERVED)}
    read_at = monotonic()
    for key, item in node.strings(left).items():
        if item[:1] == b"\xdc":
            yield key, Copy(node.name, 0, item[5:], int.from_bytes(item[1:5], "big"), left[key], read_at)
        elif item[:1] != b"\xdd":
            yield key, Copy(node.name, 0, item, INTEGER if item.isdigit() else PICKLE, left[key], read_at)


def _of_ignite(node: LocalIgnite) -> Iterator[tuple[bytes, Copy]]:
    found = node.items()
    now, read_at = time(), monotonic()
    for key, held in found.items():
        item = None if key.startswith(keys.RESERVED) else unpack(held)
        if item and not item.stub:
            ttl = item.ends / 1000 - now if item.ends else -1
            yield key, Copy(node.name, 0, item.data, item.flags, ttl, read_at)
