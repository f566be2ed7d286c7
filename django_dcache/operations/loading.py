"""get_or_set, and the versions of tags that a value is stored with."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from .. import large_values
from ..flows import Flow, Item, Load, Operation, Run
from ..flows.load import fetch_or_load
from ..large_values import Large
from ..model.view import View
from ..values.conditions import CONDITIONAL, VERSION_BYTES, Conditions
from .common import ABSENT, OVER, name
from .writing import Writing

TAG_SECONDS = 30 * 24 * 3600.0
"""How long a tag lives that is not invalidated: with it end the values that have it."""
DROPS = 3
"""How often one call makes room where it finds a value whose conditions do not hold."""

_loading: ContextVar[frozenset[str]] = ContextVar("dcache_loading", default=frozenset())
"""The made keys whose loaders this code runs in."""


Versions = Mapping[str, bytes]


class Loading(Writing):
    """The operation that reads, has the application load what is missing, and stores that."""

    def _get_or_set(
        self,
        made_key: str,
        default: Any,
        ttl: float | None,
        run: Callable[[Operation], Any],
        may_await: bool = False,
        versions: Versions | None = None,
    ) -> Operation:
        """`run`: how the caller runs operations. `versions`: those that the value is to be stored with."""
        loaded, young = ABSENT, False
        conditions = None if versions is None else Conditions(versions)

        def keep(value: Any) -> Any:
            nonlocal loaded
            loaded = value
            item = None if ttl == OVER or young else self._item_on(conditions, made_key, value, ttl)
            return run(large_values.store(self.fleet, made_key, item)) if isinstance(item, Large) else item

        def load() -> Any:
            before = _loading.set(_loading.get() | {made_key})
            try:
                made = default() if callable(default) else default
            finally:
                _loading.reset(before)
            return _then(made, keep, made_key) if may_await and isawaitable(made) else keep(made)

        def named(view: View) -> Any:
            nonlocal young
            young = view.young(made_key)
            # A loader that asks for its own key must not wait for itself.
            wait = 0.0 if made_key in _loading.get() else self.fleet.options.load_wait
            return fetch_or_load(view, name(view, made_key), load, wait)

        for _ in range(DROPS):
            found = yield from self._settled(Run(named), None)
            if loaded is not ABSENT:
                return loaded
            doubted = found is None or self._doubted(1)
            value = ABSENT if doubted else (yield from self._decode(made_key, found))
            if value is not ABSENT:
                return value
            if doubted or not found.flags & CONDITIONAL:
                break
            yield from self._drop(made_key, found)  # Then all who find it gone ask for one lease.
        item = yield Run(_ask_application, (load,))
        if not doubted and not found.flags & CONDITIONAL:  # There is something, but it can't be read: replace it.
            yield from self._write({made_key: item})
        return loaded

    # Tags

    def _made_versions(self, tags: Iterable[str] | Versions, run: Callable[[Operation], Any]) -> Operation:
        """The versions that what is loaded from now on may carry, by tag. A tag that is missing gets a new one."""
        if isinstance(tags, Mapping):
            return tags
        if isinstance(tags, str):
            raise TypeError(f"tags is {tags!r}, want a list of them")
        wanted = list(dict.fromkeys(tags))
        versions = yield from self._versions(wanted)
        for tag in wanted:
            if tag not in versions:
                made_tag, new = self.made_tag(tag), os.urandom(VERSION_BYTES)
                plans, began = self.fleet.plans, self.fleet.clock()
                version = yield from self._get_or_set(made_tag, new, TAG_SECONDS, run)
                self.fleet.tag_versions.admit(made_tag, began, plans, 0, version, version)
                versions[tag] = version
        return versions

    def _set_many_tagged(
        self, values: Mapping[str, Any], ttl: float | None, tags: Iterable[str] | Versions, run: Callable[..., Any]
    ) -> Operation:
        """The made keys of those that could not be stored."""
        conditions = Conditions((yield from self._made_versions(tags, run)))
        items = {made_key: self._item_on(conditions, made_key, value, ttl) for made_key, value in values.items()}
        return (yield from self._set_many(items))

    def _get_or_set_tagged(
        self,
        made_key: str,
        default: Any,
        ttl: float | None,
        run: Callable[[Operation], Any],
        may_await: bool,
        tags: Iterable[str] | Versions,
    ) -> Operation:
        """The versions are read before anything is loaded, and only where something is missing."""
        value = yield from self._get(made_key, ABSENT)
        if value is not ABSENT:
            return value
        versions = yield from self._made_versions(tags, run)
        return (yield from self._get_or_set(made_key, default, ttl, run, may_await, versions))


def _ask_application(view: View, load: Callable[[], Any]) -> Flow[Item | None]:
    item: Item | None
    item, _ = yield Load(load)
    return item


async def _then(made: Awaitable[Any], keep: Callable[[Any], Any], made_key: str) -> Any:
    before = _loading.set(_loading.get() | {made_key})
    try:
        kept = keep(await made)
        return await kept if isawaitable(kept) else kept
    finally:
        _loading.reset(before)
