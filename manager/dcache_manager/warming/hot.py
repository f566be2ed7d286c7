"""Which items of which warmers are hot: used lately, by what every node says of its keys.

After a deploy with another VERSION or KEY_PREFIX the old keys are still there, and say what visitors wanted. memcached
knows of each item when it was last read, and not how often: "hot" is "read most recently".
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from django.core.cache import caches

from django_dcache.engines import introspection_of
from django_dcache.errors import InvalidKey, NodeFailure
from django_dcache.model.keys import RESERVED, is_chunk, parse_wire_key, plain
from django_dcache.model.view import View
from django_dcache.runtime.fleet import Fleet
from django_dcache.transport.key_listing import pages

from ..errors import NotPossible
from .registry import Warmer


@dataclass(slots=True)
class HotKeys:
    """The hottest keys of a fleet, and the warmers that can load them."""

    names: set[bytes] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)
    """Nodes that did not list their keys."""
    items: dict[str, list[str]] = field(default_factory=dict)
    """By warmer, the names of its items among them."""
    unknown: int = 0
    """How many no warmer yields."""


def find_hot(
    warmers: Iterable[Warmer],
    alias: str,
    top: int,
    prefix: str | None = None,
    version: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> HotKeys:
    """The `top` keys of `alias`, with the prefix and version of before the deploy if they were others.

    Raises NotPossible where nodes do not tell when a key was read.
    """
    old: Any = caches.create_connection(alias)
    old.key_prefix = old.key_prefix if prefix is None else prefix
    old.version = old.version if version is None else version
    found, view = HotKeys(), old.fleet.proven_view()
    for node in view.state.topology.nodes.values():
        if not introspection_of(node).tells_last_read:
            detail = "this node does not tell when a key was read, so no key is known to be hot; use `warm run`"
            raise NotPossible(detail, node=node.name)
    found.names = _hottest(old.fleet, _beginning(old), top, found.silent, tick)
    left = set(found.names)
    for warmer in warmers:
        for item in warmer.items():
            tick()
            made_key = item.made_key(old)
            if made_key is not None and (name := _name(view, made_key)) in found.names:
                found.items.setdefault(warmer.name, []).append(item.name)
                left.discard(name)
    found.unknown = len(left)
    return found


def _hottest(fleet: Fleet, beginning: bytes, top: int, silent: list[str], tick: Callable[[], None]) -> set[bytes]:
    moments: dict[bytes, int] = {}
    floor = 0  # Whatever was read no later than this is not among the hottest.
    for node in fleet.proven_view().state.topology.nodes.values():
        if node.out:
            continue
        item_facts = introspection_of(node).facts
        try:
            for page in pages(node, fleet.transport.limits):
                tick()
                for wire_key, said in page:
                    parsed = parse_wire_key(wire_key)
                    if parsed is None or is_chunk(parsed[0]):
                        continue
                    # What was invalidated by its prefix is still what visitors wanted.
                    name = plain(parsed[0])
                    # The name of a very long key is a digest: it may be one of these.
                    if not name.startswith((beginning, b"\xff")) or name.startswith(RESERVED):
                        continue
                    accessed, fetched, _ = item_facts(said)
                    if fetched and accessed > floor:
                        # Every replica tells when it was asked itself: the last of these moments counts.
                        moments[name] = max(accessed, moments.get(name, 0))
                if len(moments) > 4 * top:
                    moments, floor = _best(moments, top)
        except NodeFailure:
            silent.append(node.name)
    return set(_best(moments, top)[0])


def _best(moments: dict[bytes, int], top: int) -> tuple[dict[bytes, int], int]:
    best = heapq.nlargest(top, moments.items(), key=itemgetter(1))
    return dict(best), best[-1][1] if len(best) == top else 0


def _beginning(cache: Any) -> bytes:
    """What the full keys of `cache` begin with; nothing, if its KEY_FUNCTION does not keep prefixes."""
    made = str(cache.make_key(""))
    return made.encode() if str(cache.make_key("-")).startswith(made) else b""


def _name(view: View, made_key: str) -> bytes | None:
    try:
        return plain(view.name(made_key))
    except InvalidKey:
        return None
