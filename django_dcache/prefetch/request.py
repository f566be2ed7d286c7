"""What a request brings along that may stand in keys, under the names that templates have for it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import md5
from itertools import combinations
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, get_resolver
from django.utils.translation import get_language, get_language_from_request

from ..page_keys import page_digest, variant_digest

LONGEST_VALUE = 200
MOST_PARAMETERS = 10
"""Of the query."""
VARIED = ("accept-encoding", "accept-language", "cookie")
"""The headers on which pages vary; sorted, as page caches sort them."""
_LOCALE = "django.middleware.locale.LocaleMiddleware"


def match_of(request: HttpRequest) -> ResolverMatch | None:
    """The view of a request, before Django looks for it."""
    try:
        return get_resolver(getattr(request, "urlconf", None)).resolve(request.path_info)
    except Resolver404:
        return None


def route_of(request: HttpRequest, match: ResolverMatch) -> tuple[str | None, str]:
    """Requests of one route read keys of one kind."""
    return request.method, match.route


def session_of(request: HttpRequest) -> str | None:
    """The key of the session that the request has, or says that it has."""
    key: str | None = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return key


def user_of(request: HttpRequest) -> tuple[str | None, str | None]:
    """(session key, the user's primary key), as far as this request has looked at its session."""
    session = getattr(request, "session", None)
    read = getattr(session, "_session_cache", None)  # `get` might read it now, and wait.
    return (session.session_key, read.get(SESSION_KEY)) if session is not None and read else (None, None)


class RequestValues:
    """The values of one request. What takes work is worked out when it is asked for. See `templates.Values`."""

    def __init__(self, request: HttpRequest, match: ResolverMatch, user: Callable[[], str | None]):
        self._request, self._user = request, user
        given = {f"arg.{number}": value for number, value in enumerate(match.args)} | {
            f"arg.{name}": value for name, value in match.kwargs.items()
        }
        self._values: dict[str, str | None] = {name: str(value) for name, value in given.items()}

    def get(self, name: str) -> str | None:
        try:
            return self._values[name]
        except KeyError:
            value = None
            with suppress(SuspiciousOperation):  # Of a request that Django refuses when it comes to it.
                value = self._work_out(name)
            self._values[name] = value = value if value and len(value) <= LONGEST_VALUE else None
            return value

    def plain(self) -> Mapping[str, str]:
        names = [name for name in self._values if name.startswith("arg.")]
        with suppress(SuspiciousOperation):
            names += [f"query.{name}" for name in [*self._request.GET][:MOST_PARAMETERS]]
        found = {name: self.get(name) for name in (*names, "session", "user", "language")}
        return {name: value for name, value in found.items() if value}

    def digests(self) -> Mapping[str, str]:
        names = ["url", "page", *(f"fragment {name}" for name in self.plain())]
        varied = [" ".join(some) for count in (1, 2, 3) for some in combinations(VARIED, count)]
        names += [f"{kind} {some}" for kind in ("headers", "variant") for some in varied]
        return {name: value for name in names if (value := self.get(name))}

    def _work_out(self, name: str) -> str | None:
        request = self._request
        kind, _, rest = name.partition(" ")
        if kind == "session":
            return session_of(request)
        if kind == "user":
            return self._user()
        if kind == "language":
            return get_language_from_request(request) if _LOCALE in settings.MIDDLEWARE else None
        if kind == "url":  # As Django's page cache
            return _digest(request.build_absolute_uri())
        if kind == "page":  # As ours
            return page_digest(request, self.get("language") or get_language())
        if kind == "headers":
            values = [request.headers.get(header) for header in rest.split()]
            return _digest(*values) if None not in values else None
        if kind == "variant":
            return variant_digest(request, rest.split())
        if kind == "fragment":  # As Django's {% cache %} with one argument
            value: Any = self.get(rest)
            return _digest(value, ":") if value else None
        return request.GET.get(name.removeprefix("query.")) if name.startswith("query.") else None


def _digest(*texts: Any) -> str:
    return md5("".join(texts).encode(), usedforsecurity=False).hexdigest()
