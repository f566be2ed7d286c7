"""cache_page: whole responses, loaded under a lease, with tags, and stale while one request makes them anew."""

from asyncio import iscoroutinefunction
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import has_vary_header, patch_vary_headers

from .backend import DistributedCache
from .errors import ConfigurationError
from .invalidation import find_cache
from .operations.used_tags import collecting
from .page_keys import page_digest, variant_digest

Tags = Iterable[str] | Callable[..., Iterable[str]]
View = TypeVar("View", bound=Callable[..., Any])


UNCACHEABLE_SECONDS = 60
"""For how long requests do not try to cache a page again whose response could not be."""


class _Uncacheable(Exception):
    """`response`: what was made; None: it is to be made by each request for itself."""

    def __init__(self, response: HttpResponseBase | None = None):
        self.response = response


def cache_page(
    timeout: Any = DEFAULT_TIMEOUT,
    *,
    stale: float = 0,
    tags: Tags = (),
    key_prefix: str = "",
    alias: str = "default",
) -> Callable[[View], View]:
    """Cache the responses of a view, or of an asynchronous one, for `timeout` seconds, by URL and what it varies on.

    One request makes a page while others wait for it, or, with `stale`, get the old one. A page has `tags` (texts, or a
    function of the view's arguments), and those of the tagged values that it was made of. Only GET and HEAD are cached,
    and of their responses those with status 200 that are not private, set no cookie and are no stream.
    """
    if isinstance(tags, str):
        raise ConfigurationError(f"tags is {tags!r}, want a list of them, or a function")

    def decorate(view: View) -> View:
        def page(request: HttpRequest, args: Any, kwargs: Any) -> "_Page":
            given = list(tags(request, *args, **kwargs) if callable(tags) else tags)
            return _Page(find_cache(alias), request, key_prefix, timeout, stale, given)

        @wraps(view)
        def cached(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method not in ("GET", "HEAD"):
                return view(request, *args, **kwargs)
            return page(request, args, kwargs).get(lambda: view(request, *args, **kwargs))

        @wraps(view)
        async def acached(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method not in ("GET", "HEAD"):
                return await view(request, *args, **kwargs)
            return await page(request, args, kwargs).aget(lambda: view(request, *args, **kwargs))

        return acached if iscoroutinefunction(view) else cached  # type: ignore[return-value]

    return decorate


class _Page:
    """The page that answers one request. The names of the headers that it varies on lie under one key, or False for a
    page that can't be cached; the response lies under another, which has their values."""

    def __init__(
        self, cache: DistributedCache, request: HttpRequest, prefix: str, timeout: Any, stale: float, tags: list[str]
    ):
        self._cache, self._request, self._timeout, self._stale, self._tags = cache, request, timeout, stale, tags
        self._names_key = f"page.{prefix}.{page_digest(request, translation.get_language())}"

    def get(self, render: Callable[[], Any]) -> Any:
        cache, made = self._cache, []

        def first() -> list[str]:
            """Of a page of which nothing is known: made by one request, too."""
            versions = cache.tag_versions(self._tags)
            with collecting() as used:
                made.append(self._checked(_rendered(render())))
            tags = {**used.of(cache.namespace), **versions}
            cache.set(self._key(names := self._names(made[0])), made[0], self._timeout, tags=tags, stale=self._stale)
            return names

        def load() -> Any:
            if cache.get(self._names_key, fresh=True) is False:
                raise _Uncacheable
            return self._checked(_rendered(render()), names)

        try:
            names = cache.get_or_set(self._names_key, first, None)
            if made:
                return made[0]
            if names is False:
                return render()
            return cache.get_or_set(self._key(names), load, self._timeout, tags=self._tags, stale=self._stale)
        except _Uncacheable as error:
            if error.response is None:
                return render()
            cache.set(self._names_key, False, UNCACHEABLE_SECONDS)
            return error.response

    async def aget(self, render: Callable[[], Any]) -> Any:
        cache, made = self._cache, []

        async def first() -> list[str]:
            versions = await cache.atag_versions(self._tags)
            with collecting() as used:
                made.append(self._checked(_rendered(await render())))
            tags = {**used.of(cache.namespace), **versions}
            names = self._names(made[0])
            await cache.aset(self._key(names), made[0], self._timeout, tags=tags, stale=self._stale)
            return names

        async def load() -> Any:
            if await cache.aget(self._names_key, fresh=True) is False:
                raise _Uncacheable
            return self._checked(_rendered(await render()), names)

        try:
            names = await cache.aget_or_set(self._names_key, first, None)
            if made:
                return made[0]
            if names is False:
                return await render()
            return await cache.aget_or_set(self._key(names), load, self._timeout, tags=self._tags, stale=self._stale)
        except _Uncacheable as error:
            if error.response is None:
                return await render()
            await cache.aset(self._names_key, False, UNCACHEABLE_SECONDS)
            return error.response

    def _checked(self, response: Any, expected: list[str] | None = None) -> Any:
        """A response that may be stored. Raises _Uncacheable, also for one that varies on what is not `expected`."""
        request, control = self._request, response.get("Cache-Control", "").lower()
        private = any(word in control for word in ("private", "no-store", "no-cache"))
        personal = bool(response.cookies) or request.META.get("CSRF_COOKIE_NEEDS_UPDATE")
        if "Authorization" in request.headers and "public" not in control:
            personal = True
        if getattr(getattr(request, "session", None), "accessed", False):
            patch_vary_headers(response, ["Cookie"])  # The middleware, which does it otherwise, comes later.
        varies = has_vary_header(response, "*") or (expected is not None and not self._names(response) == expected)
        if private or personal or varies or response.streaming or response.status_code != 200:
            raise _Uncacheable(response)
        return response

    def _names(self, response: Any) -> list[str]:
        return sorted({name.strip().lower() for name in response.get("Vary", "").split(",") if name.strip()})

    def _key(self, names: list[str]) -> str:
        return f"{self._names_key}.{variant_digest(self._request, names)}"


def _rendered(response: Any) -> Any:
    if not getattr(response, "is_rendered", True):
        response.render()
    return response
