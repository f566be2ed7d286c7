"""Who else keeps something on a fleet's nodes: they are looked through before they are emptied (docs/adr/0031)."""

import logging
from contextlib import suppress

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


def shared_nodes(fleet: Fleet) -> tuple[set[str], set[str]]:
    """The names of the nodes that may hold what is not made by this project's aliases on the fleet, and of those that
    do not answer. All are looked through within one `timeout`: what takes longer may hold anything."""
    shared: set[str] = set()
    silent: set[str] = set()
    if fleet.options.clear_nodes or fleet.view.coexists:  # As the backend of before does.
        return shared, silent
    heads = _heads(fleet)
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


def _heads(fleet: Fleet) -> set[str]:
    """What the keys in this fleet begin with that this project makes, also by aliases that this process had before."""
    for alias in settings.CACHES:
        with suppress(InvalidCacheBackendError):
            caches[alias]  # One that was not used yet says now what its keys begin with.
    name = fleet.configuration.fleet
    return set().union(*(other.heads for other in registry.fleets() if other.configuration.fleet == name))


def head(cache: BaseCache) -> str:
    """What the made keys of all versions begin with; empty if KEY_FUNCTION does not tell."""
    made = str(cache.key_func(_MARK, cache.key_prefix, _MARK))
    beginning, mark, _ = made.partition(_MARK)
    return beginning if mark else ""
