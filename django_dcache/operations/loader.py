"""Asking the application for a value, and making an item of it."""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any, NamedTuple

from .. import large_values
from ..flows import Operation
from ..large_values import Large
from ..values.conditions import Conditions
from .common import ABSENT, OVER
from .tags import Tags
from .used_tags import collecting, use

_loading: ContextVar[frozenset[str]] = ContextVar("dcache_loading", default=frozenset())
"""The made keys whose loaders this code runs in."""


class Terms(NamedTuple):
    """On what a value is to be stored."""

    versions: Mapping[str, bytes]
    """By tag, read before it is loaded."""
    stale: float = 0
    """For how many seconds after its timeout it may still be served to those who ask for that."""

    def conditions(self, used: Mapping[str, bytes], now: float, ttl: float | None) -> Conditions:
        renew_at = now + ttl if self.stale and ttl is not None else float("inf")
        return Conditions({**used, **self.versions}, renew_at)

    def ttl(self, ttl: float | None) -> float | None:
        return ttl + self.stale if ttl else ttl


class Loader:
    """The loader of one key. Called by a flow, in the caller's context; the item that it returns may be awaitable."""

    def __init__(
        self,
        cache: Tags,
        made_key: str,
        default: Any,
        ttl: float | None,
        run: Callable[[Operation], Any],
        may_await: bool = False,
        terms: Terms | None = None,
    ):
        """`run`: how the caller runs operations."""
        self._cache, self._key, self._default, self._ttl = cache, made_key, default, ttl
        self._run, self._may_await, self._terms = run, may_await, terms
        self.value: Any = ABSENT
        self.called = False
        self.young = False
        """Nothing may be stored under this key yet."""

    @property
    def wait_seconds(self) -> float:
        """How long to wait for another caller. A loader that asks for its own key must not wait for itself."""
        return 0.0 if self._key in _loading.get() else self._cache.fleet.options.load_wait

    def __call__(self) -> Any:
        self.called = True
        before = _loading.set(_loading.get() | {self._key})
        try:
            with collecting() as used:
                made = self._default() if callable(self._default) else self._default
        finally:
            _loading.reset(before)
        return self._then(made) if self._may_await and isawaitable(made) else self._keep(made, used)

    async def _then(self, made: Awaitable[Any]) -> Any:
        before = _loading.set(_loading.get() | {self._key})
        try:
            with collecting() as used:
                value = await made
            kept = self._keep(value, used)
            return await kept if isawaitable(kept) else kept
        finally:
            _loading.reset(before)

    def _keep(self, value: Any, used: Any) -> Any:
        self.value, cache, terms, ttl = value, self._cache, self._terms, self._ttl
        conditions = None
        if terms is not None:
            conditions = terms.conditions(used.of(cache.namespace), cache.fleet.view.wall_clock(), ttl)
            ttl = terms.ttl(ttl)
            use(cache.namespace, conditions.versions)
        item = None if ttl == OVER or self.young else cache._item_on(conditions, self._key, value, ttl)
        return self._run(large_values.store(cache.fleet, self._key, item)) if isinstance(item, Large) else item
