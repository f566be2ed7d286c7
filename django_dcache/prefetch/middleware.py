"""The middleware that fetches what a page is going to read in one round, by what pages of its kind have read before."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import default_key_func
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils.decorators import sync_and_async_middleware

from ..backend import DistributedCache
from ..errors import ConfigurationError
from ..model.keys import plainly_legal
from ..runtime import prefetched
from ..runtime.fleet import Fleet
from .declared import made
from .learning import Attention, Learner
from .request import RequestValues, match_of, route_of, session_of, user_of


@sync_and_async_middleware
def PrefetchMiddleware(  # noqa: N802  Django lists it among classes.
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], Any]:
    """Put it first: what the middleware below it reads (sessions, whole pages) is learned too.

    Nothing is fetched before a request reads its first key. What that reads is fetched with what is foretold.
    """
    watcher = Watcher()
    looks = watcher.attention.looks

    def middleware(request: HttpRequest) -> HttpResponseBase:
        memories = watcher.begin(request) if looks() else None
        response: HttpResponseBase = get_response(request)
        if memories:
            memories.end()
        return response

    async def amiddleware(request: HttpRequest) -> HttpResponseBase:
        memories = watcher.begin(request) if looks() else None
        response: HttpResponseBase = await get_response(request)
        if memories:
            memories.end()
        return response

    return amiddleware if iscoroutinefunction(get_response) else middleware


class Watcher:
    """What watches the requests of this process."""

    def __init__(self) -> None:
        """Raises MiddlewareNotUsed."""
        self._learners: dict[Fleet, Learner] = {}
        self._learning = threading.Lock()
        self.attention = Attention()
        for alias in settings.CACHES:
            cache = caches[alias]
            try:
                if isinstance(cache, DistributedCache):
                    cache.begin_prefetching()
                    self._learners.setdefault(cache.fleet, Learner(_head(cache)))
                    del caches[alias]  # Made anew when it is used it is quicker: see `DistributedCache.__new__`.
            except ConfigurationError:
                continue  # The system checks tell of it.
        if not self._learners:
            raise MiddlewareNotUsed("no cache is a django_dcache.backend.DistributedCache")
        self.of_one_fleet = len(self._learners) == 1

    def begin(self, request: HttpRequest) -> "WatchedMemories":
        """The memories of a request that begins."""
        memories = WatchedMemories()  # Without arguments: `__init__` would take as long as all the rest.
        memories.request, memories.watcher, memories.watches = request, self, ()
        prefetched.begin(memories)
        return memories

    def watch(self, request: HttpRequest, fleet: Fleet) -> "Watch | None":
        """A request uses a cache for the first time. Of most requests of a route that does not pay that is all."""
        learner = self._learners.get(fleet)
        match = (request.resolver_match or match_of(request)) if learner else None
        if learner is None or match is None:
            return None
        learns, pays = learner.begins(route_of(request, match))
        if pays or hasattr(match.func, "prefetched_keys"):
            self.attention.paid()
        elif not learns:
            return None
        return Watch(request, match, fleet, learner, self._learning if learns else None, learns or pays)


class WatchedMemories(prefetched.Memories):
    """Those of a request, each of which begins when its cache is used: a request that uses none costs nothing more."""

    __slots__ = ("request", "watcher", "watches")
    request: HttpRequest
    watcher: Watcher
    watches: "tuple[Watch, ...]"

    def __missing__(self, fleet: Any) -> prefetched.Prefetched | None:
        watch = self.watcher.watch(self.request, fleet)
        if watch is not None:
            self.watches += (watch,)
            self[fleet] = watch.memory
            return watch.memory
        self[fleet] = None
        if self.watcher.of_one_fleet:
            prefetched.forget()  # All later reads are quicker by half of the look.
        return None

    def end(self) -> None:
        """The response is there."""
        for watch in self.watches:
            watch.end()


class Watch:
    """One request and one cache: tells the memory what to fetch, and the learner what was read."""

    def __init__(
        self,
        request: HttpRequest,
        match: ResolverMatch,
        fleet: Fleet,
        learner: Learner,
        learning: "threading.Lock | None",
        foretells: bool,
    ):
        """`learning`: to be held while it is learned what was read, if that is to be."""
        self._request, self._match, self._fleet = request, match, fleet
        self._learner, self._learning, self._foretells = learner, learning, foretells
        self._route, self._values = route_of(request, match), RequestValues(request, match, self._user)
        self._foretold: list[str] = []
        self.memory = prefetched.Prefetched(fleet.options.freshness, fleet.clock)
        self.memory.reads, self.memory.expected = {}, self._expected

    def _expected(self) -> Iterable[str]:
        """Asked for by the first call that reads."""
        if self._foretells:
            self._foretold = self._learner.foretell(self._route, self._values)
        declared = getattr(self._match.func, "prefetched_keys", ())
        wanted = [*self._foretold, *self._declared(declared)] if declared else self._foretold
        # What a visitor sent may make a key that no node takes, and the call that reads another one must not raise.
        return [made_key for made_key in wanted if plainly_legal((made_key,))]

    def _user(self) -> str | None:
        """Whose session it was the last time."""
        return self._learner.users.get(session_of(self._request) or "")

    def _declared(self, declared: Any) -> Iterable[str]:
        arguments, user = self._match.kwargs, self._values.get("user")
        for alias, version, keys in declared:
            cache = caches[alias]
            if isinstance(cache, DistributedCache) and cache.fleet is self._fleet:
                texts = [key for key in keys if isinstance(key, str)]  # A function may need what is not there yet.
                for key in made(texts, self._request, arguments, user):
                    yield cache.make_key(key, version)

    def end(self) -> None:
        """The response is there."""
        memory, counters = self.memory, self._fleet.counters
        reads, fetched = memory.reads, memory.fetched
        memory.reads = memory.expected = None
        if not reads:
            return
        read = {made_key for made_key, part in reads.items() if part}
        if len(read) > 1:  # Else there is nothing to save.
            foreseen = len(read.intersection(self._foretold))
            counters["reads_foreseen"] += foreseen
            counters["reads_unforeseen"] += len(read) - foreseen
        if fetched:
            counters["prefetched_bytes"] += sum(fetched.values())
            counters["prefetched_bytes_unused"] += sum(fetched[made_key] for made_key in fetched.keys() - read)
            self._learner.took(memory.fetch_seconds)
        if not self._learning or not self._learning.acquire(blocking=False):
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
