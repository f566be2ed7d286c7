"""Keys that a view declares by hand."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.http import HttpRequest

from ..backend import DistributedCache
from .request import session_of

View = TypeVar("View", bound=Callable[..., Any])
Key = str | Callable[..., Iterable[str]]


def prefetch_keys(*keys: Key, alias: str = DEFAULT_CACHE_ALIAS, version: int | None = None) -> Callable[[View], View]:
    """A decorator of views, sync and async: fetch these keys in one round before the view begins.

        @prefetch_keys("product:{pk}", "stock:{pk}", "basket:{session}", "greeting:{user}")
        def product(request, pk): ...

    In braces: the names of the URL's arguments, `session` (its key) and `user` (its primary key). A key whose value the
    request lacks is left out. A function instead of a text is called as the view is, and returns keys. With
    PrefetchMiddleware they come in the round of the others. On another backend this does nothing.
    """

    def decorate(view: View) -> View:
        def wanted(request: HttpRequest, arguments: Mapping[str, Any]) -> tuple[Any, list[str]]:
            cache = caches[alias]
            if not isinstance(cache, DistributedCache):
                return cache, []
            user = (
                getattr(request, "user", None) if any("{user}" in key for key in keys if isinstance(key, str)) else None
            )
            found = made(keys, request, arguments, getattr(user, "pk", None))
            return cache, [*found, *(key for make in keys if callable(make) for key in make(request, **arguments))]

        @wraps(view)
        def sync_view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            cache, found = wanted(request, kwargs)
            if found:
                cache.prefetch(found, version)
            return view(request, *args, **kwargs)

        @wraps(view)
        async def async_view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            cache, found = wanted(request, kwargs)
            if found:
                await cache.aprefetch(found, version)
            return await view(request, *args, **kwargs)

        decorated: Any = async_view if iscoroutinefunction(view) else sync_view
        decorated.prefetched_keys = (*getattr(view, "prefetched_keys", ()), (alias, version, keys))
        return decorated  # type: ignore[no-any-return]

    return decorate


def made(keys: Iterable[Key], request: HttpRequest, arguments: Mapping[str, Any], user: Any) -> Iterator[str]:
    """Django's keys of those that are texts, as far as the request has what they need."""
    known = {"session": session_of(request), "user": user, **arguments}
    values = {name: value for name, value in known.items() if value is not None}
    for key in keys:
        with suppress(KeyError):
            if isinstance(key, str):
                yield key.format_map(values)
