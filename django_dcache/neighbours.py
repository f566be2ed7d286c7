"""Who else keeps something on a fleet's nodes: they are looked through before they are emptied (docs/adr/0031)."""

import logging
from collections.abc import Iterator

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache

from .errors import NodeFailure, NodeTimeout, ProtocolViolation
from .runtime.fleet import Fleet
from .transport.census import complete

log = logging.getLogger("django_dcache")

LOOK_SECONDS = 1.0
"""For all nodes together. What can't be looked through in that time may hold anything."""
_MARK = "\0"


def shared_nodes(cache: BaseCache, fleet: Fleet) -> set[str]:
    """The names of the nodes that may hold what is not made by `cache`, or by another alias on the same fleet."""
    if fleet.options.clear_nodes:
        return set()
    heads = {_head(cache), *map(_head, _aliases(fleet))}
    until, shared = fleet.clock() + LOOK_SECONDS, set()
    for name, pool in fleet.transport.pools().items():
        try:
            if pool.engine.census is None:
                continue  # Emptying it leaves the keys of others.
            if "" in heads:
                raise ProtocolViolation("its keys can't be told from others", node=name)
            complete(pool, pool.engine.census(fleet.configuration.fleet, heads), until, fleet.clock)
        except (ProtocolViolation, NodeTimeout) as failure:
            shared.add(name)
            log.info(
                "clear() of fleet %r does not empty node %r, which may hold what others keep (%s): it makes new names.",
                *(fleet.configuration.fleet, name, failure.detail or "there is more than can be looked through"),
                extra={"action": "node_is_shared", "fleet": fleet.configuration.fleet, "node": name},
            )
        except NodeFailure:
            continue  # Nothing can be removed from it either.
    return shared


def _aliases(fleet: Fleet) -> Iterator[BaseCache]:
    """This project's caches on the fleet."""
    addresses = {node.address for node in fleet.configuration.layout.nodes}
    for alias in settings.CACHES:
        try:
            theirs = getattr(caches[alias], "fleet", None)
        except InvalidCacheBackendError:
            continue
        if theirs and not addresses.isdisjoint(node.address for node in theirs.configuration.layout.nodes):
            yield caches[alias]


def _head(cache: BaseCache) -> str:
    """What the made keys of all versions begin with; empty if KEY_FUNCTION does not tell."""
    made = str(cache.key_func(_MARK, cache.key_prefix, _MARK))
    head, mark, _ = made.partition(_MARK)
    return head if mark else ""
