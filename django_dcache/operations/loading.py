"""get_or_set."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from .. import large_values
from ..flows import Flow, Item, Load, Operation, Run
from ..flows.load import fetch_or_load
from ..large_values import Large
from ..model.view import View
from .common import ABSENT, OVER, name
from .writing import Writing

_loading: ContextVar[frozenset[str]] = ContextVar("dcache_loading", default=frozenset())
"""The made keys whose loaders this code runs in."""


class Loading(Writing):
    """The operation that reads, has the application load what is missing, and stores that."""

    def _get_or_set(
        self, made_key: str, default: Any, ttl: float | None, run: Callable[[Operation], Any], may_await: bool = False
    ) -> Operation:
        """`run`: how the caller runs operations."""
        loaded, young = ABSENT, False

        def keep(value: Any) -> Any:
            nonlocal loaded
            loaded = value
            item = None if ttl == OVER or young else self._item(made_key, value, ttl)
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

        found = yield from self._settled(Run(named), None)
        if loaded is not ABSENT:
            return loaded
        if found is None:
            yield Run(_ask_application, (load,))
            return loaded
        doubted = self._doubted(1)
        value = ABSENT if doubted else (yield from self._decode(made_key, found))
        if value is not ABSENT:
            return value
        item = yield Run(_ask_application, (load,))
        if not doubted:  # There is something, but it can't be read: replace it.
            yield from self._write({made_key: item})
        return loaded


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
