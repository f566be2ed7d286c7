"""Deleting every key with a prefix: each node is listed, and what matches is deleted as `delete()` would."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django_dcache.errors import NodeFailure
from django_dcache.flows.write import write
from django_dcache.model.keys import RESERVED, is_chunk, parse_wire_key, plain
from django_dcache.model.topology import Phase
from django_dcache.runtime.fleet import Fleet
from django_dcache.transport.key_listing import pages

BATCH_KEYS = 512


@dataclass(slots=True)
class Swept:
    """What a sweep did. It may be repeated at any time."""

    keys: int = 0
    """Keys that were deleted."""
    failed: int = 0
    """Keys that a reader may still get."""
    silent: list[str] = field(default_factory=list)
    """Nodes that could not be listed: what lies on them may be read when they are back."""
    moving: bool = False
    """Keys were being moved: one of them may have been carried past the sweep."""

    @property
    def complete(self) -> bool:
        return not (self.failed or self.silent or self.moving)


def sweep(fleet: Fleet, made_prefix: str, tick: Callable[[], None] = lambda: None, swept: Swept | None = None) -> Swept:
    """Delete the keys of `fleet` that begin with `made_prefix`. `tick` is called all the time; `swept` is added to."""
    view, prefix, swept = fleet.proven_view(), made_prefix.encode(), swept or Swept()
    topology = view.state.topology
    for node in topology.nodes.values():
        if node.out:
            continue
        found: list[bytes] = []
        try:
            for page in pages(node, fleet.transport.limits):
                tick()
                parsed = filter(None, (parse_wire_key(wire_key) for wire_key, _ in page))
                found += [name for name, _ in parsed if _matches(name, prefix)]
        except NodeFailure:
            swept.silent.append(node.name)
        for start in range(0, len(found), BATCH_KEYS):
            tick()
            outcomes = fleet.run(write, dict.fromkeys(found[start : start + BATCH_KEYS]))
            swept.keys += sum(outcome.existed for outcome in outcomes.values())
            swept.failed += sum(not outcome.acknowledged for outcome in outcomes.values())
    # In flip a key can get from a node not yet listed to one that was, and be retired where it came from.
    swept.moving = topology.phase is not Phase.STABLE or fleet.proven_view().epoch != view.epoch
    return swept


def _matches(name: bytes, prefix: bytes) -> bool:
    if is_chunk(name):
        return False  # Without its key it is no value.
    # The name of a very long key is a digest that begins with FF: it may be one of these, and a miss is always allowed.
    return plain(name).startswith((prefix, b"\xff")) and not name.startswith(RESERVED)
