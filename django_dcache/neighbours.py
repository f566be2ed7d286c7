"""Who else keeps something on a fleet's nodes: they are looked through before they are emptied (docs/adr/0031)."""

import logging
from collections.abc import Iterator

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache

from .errors import NodeFailure, NodeTimeout, ProtocolViolation
from .runtime import registry
from .runtime.fleet import Fleet
from .transport.breaker import State
from .transport.census import complete

log = logging.getLogger("django_dcache")

_MARK = "\0"


def shared_nodes(cache: BaseCache, fleet: Fleet) -> tuple[set[str], set[str]]:
    """The names of the nodes that may hold what is not made by `cache`, or by another alias on the same fleet; and of
    those that do not answer. All are looked through within one `timeout`: what takes longer may hold anything."""
    shared: set[str] = set()
    silent: set[str] = set()
    if fleet.options.clear_nodes:
        return shared, silent
    heads = {head(cache), *map(head, _aliases(fleet)), *_written(fleet)}
    until = fleet.clock() + fleet.options.timeout
    for name, pool in fleet.transport.pools().items():
        try:
            if pool.engine.census is None:
                continue  # Emptying it leaves the keys of others.
            if "" in heads:
                raise ProtocolViolation("its keys can't be told from others", node=name)
            if pool.breaker.state is State.DOWN:
                raise NodeTimeout(node=name)
            complete(pool, pool.engine.census(fleet.configuration.fleet, heads), until, fleet.clock)
        except ProtocolViolation as failure:
            shared.add(name)
            log.info(
                "clear() of fleet %r does not empty node %r, which may hold what others keep (%s): it makes new names.",
                *(fleet.configuration.fleet, name, failure.detail),
                extra={"action": "node_is_shared", "fleet": fleet.configuration.fleet, "node": name},
            )
        except NodeFailure:
            silent.add(name)
    return shared, silent


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


def _written(fleet: Fleet) -> Iterator[str]:
    """What the keys begin with that this process has made in this fleet, also for aliases that it has no more."""
    for other in registry.fleets():
        if other.configuration.fleet == fleet.configuration.fleet:
            yield from other.heads


def head(cache: BaseCache) -> str:
    """What the made keys of all versions begin with; empty if KEY_FUNCTION does not tell."""
    made = str(cache.key_func(_MARK, cache.key_prefix, _MARK))
    beginning, mark, _ = made.partition(_MARK)
    return beginning if mark else ""
