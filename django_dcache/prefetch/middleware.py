"""The middleware that fetches what a page is going to read in one round, by what pages of its kind have read before."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import default_key_func
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from ..backend import DistributedCache
from ..errors import ConfigurationError
from ..model.keys import plainly_legal
from ..runtime import prefetched
from ..runtime.fleet import Fleet
from .declared import made
from .learning import Learner
from .request import RequestValues, match_of, route_of, session_of, user_of


class PrefetchMiddleware:
    """Put it first: what the middleware below it reads (sessions, whole pages) is learned too.

    Nothing is fetched before a request reads its first key. What that reads is fetched with what is foretold.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]):
        self._get_response = get_response
        self._learners: dict[Fleet, Learner] = {}
        self._learning = threading.Lock()
        for alias in settings.CACHES:
            cache = caches[alias]
            try:
                if isinstance(cache, DistributedCache):
                    cache.begin_prefetching()
                    self._learners.setdefault(cache.fleet, Learner(_head(cache)))
            except ConfigurationError:
                continue  # The system checks tell of it.
        if not self._learners:
            raise MiddlewareNotUsed("no cache is a django_dcache.backend.DistributedCache")
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._acall(request)
        watches = self._begin(request)
        response = self._get_response(request)
        for watch in watches:
            watch.end()
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponse:
        watches = self._begin(request)
        response: HttpResponse = await self._get_response(request)
        for watch in watches:
            watch.end()
        return response

    def _begin(self, request: HttpRequest) -> "list[Watch]":
        prefetched.forget()
        return [Watch(request, fleet, learner, self._learning) for fleet, learner in self._learners.items()]


class Watch:
    """One request and one cache: tells the memory what to fetch, and the learner what was read."""

    def __init__(self, request: HttpRequest, fleet: Fleet, learner: Learner, learning: threading.Lock):
        self._request, self._fleet, self._learner, self._learning = request, fleet, learner, learning
        self._memory = prefetched.here(fleet, fleet.options.freshness, fleet.clock)
        self._memory.reads, self._memory.expected = {}, self._expected
        self._route, self._learns = "", False
        self._values: RequestValues | None = None
        self._foretold: list[str] = []

    def _expected(self) -> Iterable[str]:
        """Asked for by the first call that reads: a request that reads nothing is not even looked at."""
        match = match_of(self._request)
        if match is None:
            return ()
        self._route = route_of(self._request, match)
        self._learns, pays = self._learner.begins(self._route)
        declared = getattr(match.func, "prefetched_keys", ())
        if not (self._learns or pays or declared):
            self._memory.reads = None
            return ()
        values = self._values = RequestValues(self._request, match, self._user)
        self._foretold = self._learner.foretell(self._route, values)
        wanted = [*self._foretold, *self._declared(declared, match.kwargs, values)] if declared else self._foretold
        # What a visitor sent may make a key that no node takes, and the call that reads another one must not raise.
        return [made_key for made_key in wanted if plainly_legal((made_key,))]

    def _user(self) -> str | None:
        """Whose session it was the last time."""
        return self._learner.users.get(session_of(self._request) or "")

    def _declared(self, declared: Any, arguments: dict[str, Any], values: RequestValues) -> Iterable[str]:
        for alias, version, keys in declared:
            cache = caches[alias]
            if isinstance(cache, DistributedCache) and cache.fleet is self._fleet:
                texts = [key for key in keys if isinstance(key, str)]  # A function may need what is not there yet.
                for key in made(texts, self._request, arguments, values.get("user")):
                    yield cache.make_key(key, version)

    def end(self) -> None:
        """The response is there."""
        reads, fetched, counters = self._memory.reads, self._memory.fetched, self._fleet.counters
        self._memory.reads = self._memory.expected = None
        if reads is None or self._values is None:
            return
        read = {made_key for made_key, part in reads.items() if part}
        if len(read) > 1:  # Else there is nothing to save.
            foreseen = len(read.intersection(self._foretold))
            counters["reads_foreseen"] += foreseen
            counters["reads_unforeseen"] += len(read) - foreseen
        counters["prefetched_bytes"] += sum(fetched.values())
        counters["prefetched_bytes_unused"] += sum(size for made_key, size in fetched.items() if made_key not in read)
        if not self._learns or not self._learning.acquire(blocking=False):
            return  # If another thread learns: what this request would teach, the next one will.
        try:
            session, user = user_of(self._request)
            if session and user:
                self._learner.users.put(session, user)
            self._learner.learn(self._route, self._values, reads, fetched)
        finally:
            self._learning.release()


def _head(cache: DistributedCache) -> str:
    """What the keys of the alias begin with, where numbers are none of the request's."""
    return str(cache.make_key("")) if cache.key_func is default_key_func else ""
