"""Telling a fleet, and every other region, that something changed.

Keys and tags are deleted on the local fleet, and a prefix in OPTIONS["prefixes"] is bumped there (docs/adr/0010). Who
else has to be told, and how any other prefix is swept, is the business of a *recorder*; `dcache_manager`, when
installed, is one.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from django.core.cache import caches
from django.db import DEFAULT_DB_ALIAS, transaction

from .backend import DistributedCache
from .errors import ConfigurationError
from .flows import Flow
from .flows.consensus import bump_prefix
from .flows.write import Outcome, write
from .model import keys as names
from .model.view import View

log = logging.getLogger("django_dcache")

BATCH = 512
SINGLE = ("keys", "tags")
"""The kinds whose keys are named one by one, and deleted."""


class Order(NamedTuple):
    """What is to be invalidated on an alias."""

    alias: str
    kind: str
    """keys, tags or prefix"""
    made: list[str]
    """Made keys; or tags; or one made prefix."""


Recorder = Callable[[Order], Callable[[], None]]
"""Called inside the caller's transaction, if there is one. What it returns is called when the order is to be carried
out: after the commit."""


def invalidate(
    keys: Iterable[Any] | None = None,
    *,
    prefix: str | None = None,
    tags: Iterable[str] | None = None,
    version: int | None = None,
    alias: str = "default",
    on_commit: bool = True,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Make cached values unreadable: here at once, in every other region soon.

    Give `keys`, or `tags`, which are those of all versions of a key, or the `prefix` of keys ("" is every key of that
    version; unless it is in OPTIONS["prefixes"] it needs dcache_manager). With `on_commit` this
    waits for the commit of the present transaction on `using`: a reader in between would only cache the old row again.
    Nodes that fail are logged, not raised. Raises InvalidKey, ConfigurationError.
    """
    if [keys, prefix, tags].count(None) != 2:
        raise ConfigurationError("invalidate() takes keys, tags or a prefix: one of them")
    if tags is not None:
        order = of_tags(alias, tags)
    else:
        order = of_keys(alias, keys, version) if keys is not None else of_prefix(alias, prefix or "", version)
    carry_out = _recorder(order)
    if on_commit and transaction.get_connection(using).in_atomic_block:
        transaction.on_commit(carry_out, using=using, robust=True)
    else:
        carry_out()


def of_keys(alias: str, keys: Iterable[Any], version: int | None = None) -> Order:
    """The order for some keys. Raises InvalidKey, ConfigurationError."""
    cache = find_cache(alias)
    made = [str(cache.make_key(key, version)) for key in keys]
    for key in made:
        names.name(key)
    return Order(alias, "keys", made)


def of_tags(alias: str, tags: Iterable[str]) -> Order:
    """The order for what has any of these tags. Raises InvalidCacheKey, ConfigurationError."""
    if isinstance(tags, str):
        raise ConfigurationError(f"tags is {tags!r}, want a list of them")
    order = Order(alias, "tags", list(tags))
    made_keys(order)
    return order


def made_keys(order: Order) -> list[str]:
    """The made keys of an order for keys or tags. Raises InvalidCacheKey."""
    return list(map(find_cache(order.alias).made_tag, order.made)) if order.kind == "tags" else order.made


def of_prefix(alias: str, prefix: str, version: int | None = None) -> Order:
    """The order for all keys that begin with `prefix`. Raises InvalidKey, ConfigurationError."""
    cache = find_cache(alias)
    made = str(cache.make_key(prefix, version))
    if not str(cache.make_key(prefix + "-", version)).startswith(made):
        raise ConfigurationError(f"the KEY_FUNCTION of cache {alias!r} does not keep prefixes")
    names.name(made)
    return Order(alias, "prefix", [made])


def delete(order: Order) -> list[str]:
    """Delete the keys or tags of `order` on the local fleet; those that a process may still read, because too few nodes
    and keepers could be told."""
    cache, made = find_cache(order.alias), made_keys(order)
    fleet = cache.fleet
    failed: list[str] = []
    with cache.dropping(made), fleet.tag_versions.writing(made):
        for start in range(0, len(made), BATCH):
            outcomes = fleet.run(_remove, made[start : start + BATCH])
            failed += [key for key, outcome in outcomes.items() if not outcome.acknowledged]
    if failed:
        fleet.counters["invalidations_failed"] += len(failed)
        log.warning(
            "%d of %d %s could not be invalidated on cache %r.",
            *(len(failed), len(made), order.kind, order.alias),
            extra={"action": "invalidation_failed", "alias": order.alias, "keys": len(failed)},
        )
    return failed


def _remove(view: View, made_keys: list[str]) -> Flow[dict[str, Outcome]]:
    names = {key: view.name(key) for key in made_keys}
    outcomes = yield from write(view, dict.fromkeys(names.values()))
    return {key: outcomes[name] for key, name in names.items()}


def immediate(order: Order) -> bool:
    """Whether carrying it out takes no longer than a few deletes: keys, tags, or a prefix in OPTIONS["prefixes"]."""
    # A made key ends with the key. Another prefix that happens to end so is none the worse for it.
    if order.kind in SINGLE:
        return True
    fleet = find_cache(order.alias).fleet
    # Classic clients know of no generations: for them a prefix is swept.
    return order.made[0].endswith(fleet.options.prefixes) and not fleet.view.coexists


def carry_out(order: Order) -> bool:
    """Carry out what is immediate; whether no process reads any of it now, or after `freshness` if it is no key.

    Raises TooManyPrefixes.
    """
    if order.kind in SINGLE:
        return not delete(order)
    (made_prefix,), fleet = order.made, find_cache(order.alias).fleet
    told: bool = fleet.run(bump_prefix, made_prefix)
    if not told:
        fleet.counters["invalidations_failed"] += 1
        log.warning(
            "Too few keepers of cache %r could be told that the prefix %r is invalid.",
            order.alias,
            fleet.configuration.shown(made_prefix),
            extra={"action": "invalidation_failed", "alias": order.alias},
        )
    return told


def just_here(order: Order) -> Callable[[], None]:
    """The recorder without a manager: no other region is told."""
    if not immediate(order):
        raise ConfigurationError("invalidating a prefix that is not in OPTIONS needs dcache_manager in INSTALLED_APPS")
    return partial(_carry_out, order)


def _carry_out(order: Order) -> None:
    carry_out(order)


_recorder: Recorder = just_here


def record_with(recorder: Recorder) -> None:
    """Have `recorder` see every order of this process."""
    global _recorder
    _recorder = recorder


def find_cache(alias: str) -> DistributedCache:
    """The cache of this alias. Raises ConfigurationError if it is another backend's."""
    cache = caches[alias]
    if not isinstance(cache, DistributedCache):
        raise ConfigurationError(f"cache {alias!r} is not a django_dcache.backend.DistributedCache")
    return cache
