"""Telling an edge (Varnish, a CDN) what a response was made of, so that it can be purged by tag, and for how long it
may be kept. Who purges is dcache_manager (docs/howto/edge.md).

    MIDDLEWARE = ["django_dcache.edge.SurrogateKeyMiddleware", …]
    DCACHE_EDGE = {"header": "Surrogate-Key", "rules": [("^/product/", 3600, 0)]}
"""

import logging
import re
from asyncio import iscoroutinefunction
from collections.abc import Awaitable, Callable
from time import time
from typing import Any, NamedTuple
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.utils.decorators import sync_and_async_middleware

from .backend import DistributedCache
from .errors import ConfigurationError
from .invalidation import find_cache
from .operations.used_tags import UsedTags, collecting, use

log = logging.getLogger("django_dcache")

SEPARATORS = {"Surrogate-Key": " ", "xkey": " ", "Cache-Tag": ","}
MOST_BYTES = 7500
"""Of a header with tags: Varnish takes 8 KB of each."""


CHECKED = "Surrogate-Checked"
"""A header: when the nodes were asked for the tags of the response, in seconds since 1970. The last purge comes two
seconds after an invalidation: what arrives later than that after this moment must not be kept."""


class Rule(NamedTuple):
    """Responses whose path matches may be kept for that long."""

    path: re.Pattern[str]
    edge_seconds: int
    browser_seconds: int


class Options(NamedTuple):
    """DCACHE_EDGE."""

    header: str
    rules: tuple[Rule, ...]
    control: str
    """Cache-Control, or Surrogate-Control, which an edge takes off and browsers do not see."""


def options(given: Any) -> Options:
    """Raises ConfigurationError."""
    if not isinstance(given, dict) or not set(given) <= {"header", "rules", "control"}:
        raise ConfigurationError(f"DCACHE_EDGE is {given!r}, want a dict with header, rules or control")
    header, control = given.get("header", "Surrogate-Key"), given.get("control", "Cache-Control")
    if header not in SEPARATORS:
        raise ConfigurationError(f"DCACHE_EDGE['header'] is {header!r}, want one of {', '.join(SEPARATORS)}")
    if control not in ("Cache-Control", "Surrogate-Control"):
        raise ConfigurationError(f"DCACHE_EDGE['control'] is {control!r}, want Cache-Control or Surrogate-Control")
    try:
        rules = tuple(Rule(re.compile(path), int(edge), int(browser)) for path, edge, browser in given.get("rules", ()))
    except (TypeError, ValueError, re.error) as error:
        raise ConfigurationError(
            f"DCACHE_EDGE['rules']: {error}; want (path pattern, seconds at the edge, in browsers)"
        ) from None
    return Options(header, rules, control)


def surrogate_key(tag: str) -> str:
    """A tag as it stands in a header, and in a purge."""
    return quote(tag, safe="!#$&'*+-.^_`|~:/@=()[]{}?;<>")


def use_tags(*tags: str, alias: str = "default") -> None:
    """The present response is made of what has these tags, though no cache is asked for it: call it before the rows are
    read."""
    cache = find_cache(alias)
    use(cache.namespace, cache.tag_versions(tags))


@sync_and_async_middleware
def SurrogateKeyMiddleware(  # noqa: N802  Django lists it among classes.
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], Any]:
    """Write the tags of what a response was made of into a header, and how long it may be kept, by rule."""
    chosen = options(getattr(settings, "DCACHE_EDGE", {}))

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with collecting() as used:
            response: HttpResponseBase = get_response(request)
        return _marked(chosen, request, response, used)

    async def amiddleware(request: HttpRequest) -> HttpResponseBase:
        with collecting() as used:
            pending: Awaitable[HttpResponseBase] = get_response(request)
            response = await pending
        return await sync_to_async(_marked)(chosen, request, response, used)

    return amiddleware if iscoroutinefunction(get_response) else middleware


def _marked(chosen: Options, request: HttpRequest, response: HttpResponseBase, used: UsedTags) -> HttpResponseBase:
    keys = SEPARATORS[chosen.header].join(map(surrogate_key, used.names))
    if keys and len(keys) <= MOST_BYTES:
        response[chosen.header] = keys
    if request.method not in ("GET", "HEAD"):
        return response
    rule = next((rule for rule in chosen.rules if rule.path.search(request.path)), None)
    own = response.has_header("Cache-Control")
    if rule and not own and (response.status_code != 200 or response.cookies or response.streaming):
        _keep_out(response)
    control, checked = response.get("Cache-Control", ""), time()
    if "private" in control or "no-store" in control or response.cookies and not own:
        return response
    # An edge may keep all others, those without a rule by one of its own. A purge that has been and gone would not find
    # this response, which is only about to arrive; and none finds what can't name all of its tags.
    if len(keys) > MOST_BYTES or _changed(used):
        _keep_out(response)
        return response
    if used:
        response[CHECKED] = f"{checked:.3f}"
    if rule and not own:
        _keep(chosen, rule, response)
    return response


def _keep_out(response: HttpResponseBase) -> None:
    del response["Surrogate-Control"]
    patch_cache_control(response, private=True)


def _keep(chosen: Options, rule: Rule, response: HttpResponseBase) -> None:
    if chosen.control == "Cache-Control":
        patch_cache_control(response, public=True, s_maxage=rule.edge_seconds, max_age=rule.browser_seconds)
    else:
        response["Surrogate-Control"] = f"max-age={rule.edge_seconds}"
        patch_cache_control(response, max_age=rule.browser_seconds)


def _changed(used: UsedTags) -> bool:
    """Whether any tag was invalidated since it was used, as the nodes say now. Also if they do not answer."""
    namespaces = {namespace for namespace, _ in used}
    for alias in settings.CACHES if namespaces else ():
        cache = caches[alias]
        if isinstance(cache, DistributedCache) and cache.namespace in namespaces:
            namespaces.discard(cache.namespace)
            if cache.changed_tags(used.of(cache.namespace)):
                return True
    return bool(namespaces)
