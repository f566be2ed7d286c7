"""Do the copies agree? Compares what the replicas of each key hold, and repairs what can be repaired safely.

A copy is never made here: two replicas of a stable topology are written in parallel, so a copy from one to the other
can bring a deleted value back (docs/adr/0005). What differs is deleted, which is a miss; what is missing is filled by
letting its node join again (`node down`, `node up`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

from django_dcache.commands import Get, Remove, Value, is_item
from django_dcache.errors import Conflict, NodeFailure
from django_dcache.flows import Flow
from django_dcache.flows.resize import Key, discard
from django_dcache.model.keys import RESERVED, parse_wire_key
from django_dcache.model.topology import Node, Phase
from django_dcache.model.view import View
from django_dcache.runtime.fleet import Fleet
from django_dcache.transport.key_listing import pages

BATCH_KEYS = 256
MAX_EXAMPLES = 20
SECOND_LOOK_SECONDS = 0.5
"""After which a difference is looked at again: a write may have been under way."""


@dataclass(slots=True)
class VerifyResult:
    """What a verification saw. Keys are counted once, copies each."""

    keys: int = 0
    copies: int = 0
    divergent: int = 0
    """Keys whose copies differ."""
    missing: dict[str, int] = field(default_factory=dict)
    """Copies that a node should hold and does not, by node."""
    strays: dict[str, int] = field(default_factory=dict)
    """Copies on nodes that are no replica of their key, by node."""
    repaired: int = 0
    examples: list[str] = field(default_factory=list)
    """A few of the divergent names, escaped."""
    silent: list[str] = field(default_factory=list)
    """Nodes that could not be compared."""

    @property
    def clean(self) -> bool:
        return not (self.divergent or self.strays or self.silent)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"clean": self.clean}


class Verification:
    """One pass over a fleet in a stable topology."""

    def __init__(
        self, fleet: Fleet, sleep: Callable[[float], None], tick: Callable[[VerifyResult], None] = lambda found: None
    ):
        self._fleet, self._sleep, self._tick = fleet, sleep, tick
        self.result = VerifyResult()

    def run(self, repair: bool = False, sample: int = 1) -> VerifyResult:
        """Look at every key, or at one in `sample` (by its hash). Raises Conflict while keys are moving."""
        view = self._fleet.proven_view()
        if view.state.topology.phase is not Phase.STABLE:
            raise Conflict("keys are moving; verify once the resize has ended", epoch=view.epoch)
        epoch, found = view.epoch, self.result
        owned: dict[bytes, Key] = {}
        for name, node in view.state.topology.nodes.items():
            if node.out:
                continue
            strays: list[Key] = []
            try:
                for key in self._list(view, node, sample):
                    found.copies += 1
                    if name in key.route.read:
                        owned.setdefault(key.name, key)
                    else:
                        strays.append(key)
            except NodeFailure:
                found.silent.append(name)
                continue
            if strays:
                found.strays[name] = len(strays)
                if repair:
                    for batch in _batches(strays):
                        found.repaired += self._fleet.run(discard, epoch, name, batch)
            self._tick(found)
        found.keys = len(owned)
        self._compare(epoch, list(owned.values()), repair)
        return found

    def _list(self, view: View, node: Node, sample: int) -> Iterator[Key]:
        """The keys on a node that can be read, or one in `sample` of them. Raises NodeFailure."""
        for page in pages(node, self._fleet.transport.limits):
            for wire_key, _ in page:
                parsed = parse_wire_key(wire_key)
                if parsed is None or parsed[0].startswith(RESERVED) or _digest(parsed[0]) % sample:
                    continue
                name, generation = parsed
                route, slot = view.place(name)
                if generation == view.generation(node.name, slot):
                    yield Key(name, slot, route)

    def _compare(self, epoch: int, keys: Sequence[Key], repair: bool) -> None:
        several = [key for key in keys if len(key.route.read) > 1]
        suspects: list[Key] = []
        for batch in _batches(several):
            differing, missing = self._fleet.run(compare, epoch, batch)
            suspects += differing
            for name in missing:
                self.result.missing[name] = self.result.missing.get(name, 0) + 1
            self._tick(self.result)
        if suspects:
            self._sleep(SECOND_LOOK_SECONDS)
        for batch in _batches(suspects):
            differing, _ = self._fleet.run(compare, epoch, batch)
            self.result.divergent += len(differing)
            room = MAX_EXAMPLES - len(self.result.examples)
            self.result.examples += [ascii(key.name.decode("utf-8", "replace"))[1:-1] for key in differing[:room]]
            if repair:
                self.result.repaired += self._fleet.run(drop_divergent, epoch, differing)


def compare(view: View, epoch: int, keys: Sequence[Key]) -> Flow[tuple[list[Key], list[str]]]:
    """The keys whose copies differ, and the node of each copy that is missing while another exists."""
    copies = yield from _copies(view, epoch, keys)
    differing, missing = [], []
    for key in keys:
        held = {name: copies.get((key.name, name)) for name in key.route.read}
        digests = {(value.flags, _digest(value.data or b"")) for value in held.values() if value}
        if len(digests) > 1:
            differing.append(key)
        if digests:
            missing += [name for name, value in held.items() if value is None]
    return differing, missing


def drop_divergent(view: View, epoch: int, keys: Sequence[Key]) -> Flow[int]:
    """Delete just those very copies that still differ; of how many keys."""
    copies = yield from _copies(view, epoch, keys)
    batches: dict[str, list[Remove]] = {}
    dropped = 0
    for key in keys:
        held = {name: value for name in key.route.read if (value := copies.get((key.name, name)))}
        if len({(value.flags, value.data) for value in held.values()}) < 2:
            continue
        dropped += 1
        for name, value in held.items():
            generation = view.generation(name, key.slot)
            batches.setdefault(name, []).append(Remove(key.name, generation, value.token))
    if batches:
        yield batches
    return dropped


def _copies(view: View, epoch: int, keys: Sequence[Key]) -> Flow[dict[tuple[bytes, str], Value]]:
    """The copies that exist, by (name, node). Raises Conflict, and the NodeFailure of a node that did not answer."""
    if view.epoch != epoch:
        raise Conflict(f"keys were listed under epoch {epoch}", epoch=view.epoch)
    batches: dict[str, list[Get]] = {}
    asked: dict[str, list[bytes]] = {}
    for key in keys:
        for name in key.route.read:
            batches.setdefault(name, []).append(Get(key.name, view.generation(name, key.slot), token=True))
            asked.setdefault(name, []).append(key.name)
    replies = (yield batches) if batches else {}
    found: dict[tuple[bytes, str], Value] = {}
    for node, names in asked.items():
        for key_name, reply in zip(names, replies[node], strict=True):
            if isinstance(reply, NodeFailure):
                raise reply
            if is_item(reply):
                found[key_name, node] = reply
    return found


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def _batches(keys: Iterable[Key]) -> Iterable[list[Key]]:
    batch: list[Key] = []
    for key in keys:
        batch.append(key)
        if len(batch) == BATCH_KEYS:
            yield batch
            batch = []
    if batch:
        yield batch
