"""Items that Django itself stores: pages behind `cache_page`, and template fragments.

Django makes the keys, from a request or a template like any visitor's, and stores what a visitor's request would have
stored, in the same way: without a lease.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache as once
from typing import Any

from django.conf import settings
from django.core.cache import BaseCache, InvalidCacheBackendError, caches
from django.core.cache.utils import make_template_fragment_key
from django.core.handlers.base import BaseHandler
from django.core.signals import got_request_exception, request_started
from django.http import HttpRequest, HttpResponseBase
from django.template.loader import get_template
from django.test import RequestFactory
from django.utils.cache import get_cache_key

from django_dcache.errors import ConfigurationError, DCacheError

from .items import Item, NotStored, Outcome
from .presence import Presence, look

MARK = "dcache.warming"
"""In `request.META` of a warmer's requests, where no visitor can put it: for views that count visits."""


class RequestFailed(DCacheError):
    """The site did not answer with a page."""


@dataclass(frozen=True)
class View(Item):
    """A page of this site, asked for through the whole middleware unless it is in the cache.

    `host`, `secure` and `headers` must be what visitors send, as far as the page's key depends on it; `key_prefix` and
    `alias` what `cache_page` was given.
    """

    path: str
    host: str | None = None
    secure: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key_prefix: str = ""
    alias: str = "default"

    @property
    def name(self) -> str:
        extra = "".join(f" {name}: {value}" for name, value in sorted(self.headers.items()))
        return f"{'https' if self._secure else 'http'}://{self._host}{self.path}{extra}"

    @property
    def _secure(self) -> bool:
        return settings.SECURE_SSL_REDIRECT if self.secure is None else self.secure

    @property
    def _host(self) -> str:
        if self.host is not None:
            return self.host
        exact = [host for host in settings.ALLOWED_HOSTS if not host.startswith((".", "*"))]
        return exact[0] if exact else ""

    def request(self) -> HttpRequest:
        """A visitor's."""
        request = RequestFactory().get(self.path, secure=self._secure, headers={"host": self._host, **self.headers})
        request.META[MARK] = True
        return request

    def warm(self) -> Outcome:
        if not self._host:
            raise ConfigurationError(f"a View of {self.path} needs host=: ALLOWED_HOSTS names no host exactly")
        if self._kept(self.request()):
            return Outcome.PRESENT
        request = self._ask()
        # Django's mark: the page was not in the cache, so it is stored if it may be. None without a `cache_page`.
        missed = getattr(request, "_cache_update_cache", None)
        if missed is False:
            return Outcome.PRESENT
        if missed and not self._kept(request) and getattr(self._ask(), "_cache_update_cache", True):
            raise NotStored("answered, but not cached (a cookie, Cache-Control: private, a failed write?)")
        return Outcome.LOADED

    def _kept(self, request: HttpRequest) -> bool:
        """Whether the page is in the cache, as far as `alias` and `key_prefix` tell."""
        cache = caches[self.alias]
        key = get_cache_key(request, self.key_prefix, "GET", cache)
        return key is not None and look(cache, key) is Presence.THERE

    def _ask(self) -> HttpRequest:
        """A request that was answered with a page. Raises RequestFailed."""
        request = self.request()
        # As for a server's request: connections that are too old are closed, the budget of waiting begins.
        request_started.send(type(self), environ=request.META)
        response = _handler().get_response(request)
        try:
            if not 200 <= response.status_code < 300:
                raise RequestFailed(_complaint(request, response))
        finally:
            response.close()
        return request

    def made_key(self, cache: BaseCache) -> str | None:
        key = get_cache_key(self.request(), self.key_prefix, "GET", cache) if self._host else None
        return None if key is None else str(cache.make_key(key))


def _complaint(request: HttpRequest, response: HttpResponseBase) -> str:
    error = getattr(request, "dcache_error", None)
    if error is not None:
        return f"{response.status_code}: {type(error).__name__}: {error}"
    location = response.headers.get("Location")
    return f"{response.status_code} {response.reason_phrase}{f': {location}' if location else ''}"


def _remember(sender: Any, request: Any = None, **kwargs: Any) -> None:
    if request is not None and MARK in request.META:
        request.dcache_error = sys.exc_info()[1]


@once
def _handler() -> BaseHandler:
    got_request_exception.connect(_remember, dispatch_uid="dcache_manager.warming")
    handler = BaseHandler()
    handler.load_middleware()
    return handler


@dataclass(frozen=True)
class Fragment(Item):
    """A `{% cache %}` part of a template: rendered with `context`, and then looked for.

    `name`, `vary_on` and `using` as in the tag.
    """

    fragment: str
    vary_on: Sequence[Any]
    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    using: str | None = None

    @property
    def _cache(self) -> BaseCache:
        if self.using is not None:
            return caches[self.using]
        try:
            return caches["template_fragments"]
        except InvalidCacheBackendError:
            return caches["default"]

    @property
    def name(self) -> str:
        return str(self._cache.make_key(make_template_fragment_key(self.fragment, self.vary_on)))

    def warm(self) -> Outcome:
        cache, key = self._cache, make_template_fragment_key(self.fragment, self.vary_on)
        if look(cache, key) is Presence.THERE:
            return Outcome.PRESENT
        get_template(self.template).render(dict(self.context))
        if look(cache, key) is not Presence.THERE:
            raise NotStored(
                f"{self.template} has no {{% cache %}} {self.fragment!r} for these vary_on, or no node took it"
            )
        return Outcome.LOADED

    def made_key(self, cache: BaseCache) -> str | None:
        return str(cache.make_key(make_template_fragment_key(self.fragment, self.vary_on)))
