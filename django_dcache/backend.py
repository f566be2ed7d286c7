"""Django's cache API over a fleet, every method for threads and for event loops. Both drive the same operation."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.signals import request_finished, request_started
from django.dispatch import receiver

from . import checks
from .conf import plain_options
from .errors import ConfigurationError, DCacheError
from .identity import fleet_alias, owner
from .large_values import item_bytes
from .methods import LifetimeMethods, ListingMethods, NearMethods, PrefetchMethods, SwappingMethods
from .neighbours import head
from .runtime import deadline, prefetched, registry


class DistributedCache(LifetimeMethods, ListingMethods, SwappingMethods):
    """A cache alias on a fleet of nodes. A cheap handle: sockets and state belong to the process."""

    def __new__(cls, location: Any = None, params: Any = None) -> Any:
        """An object of the class that its fleet will ask for, as far as settings tell: attributes of one whose class is
        changed later are found more slowly."""
        options = params and params.get("OPTIONS")
        near = isinstance(options, Mapping) and options.get("near")
        return super().__new__(_in_front(cls, near, prefetched.begun))

    def __init__(self, location: Any, params: dict[str, Any]):
        super().__init__(params)
        present: Any = type(self)
        try:
            options = plain_options(params.get("OPTIONS"))
            self.fleet = registry.fleet(fleet_alias(location), location, options, owner(location, options))
        except ConfigurationError as error:
            self._reason = checks.unusable(error)
            self.__class__ = _with(Unusable, present)
            return
        self._codec = self.fleet.codec
        self._decode_bytes = self._codec.decode
        self._item_bytes = item_bytes(self.fleet.options)
        self.fleet.heads.add(head(self))
        if self.fleet.near:
            self._near = self.fleet.near
        if (wanted := _in_front(present, self.fleet.near, prefetched.begun)) is not present:  # A subclass said more.
            self.__class__ = wanted

    def staleness_bound(self) -> float:
        """Seconds by which what is read now may lag an acknowledged write, at most (see `Fleet.staleness_bound`)."""
        return self.fleet.staleness_bound()

    def prefetch(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Read these in one round: what of them this request reads next takes no other one. For `freshness` at most.

        Nodes that fail are no error here: what they did not tell is asked for when it is read.
        """
        self.begin_prefetching()
        self.prefetch(keys, version)

    async def aprefetch(self, keys: Iterable[Any], version: int | None = None) -> None:
        """`prefetch` for event loops."""
        self.begin_prefetching()
        await self.aprefetch(keys, version)

    def begin_prefetching(self) -> None:
        """From now on this cache, and those that this process makes later, look into the memory of their request."""
        prefetched.begun = True
        present: Any = type(self)
        self.__class__ = _with(PrefetchMethods, present)


def _in_front(base: Any, near: Any, prefetches: bool) -> Any:
    for methods, wanted in ((NearMethods, near), (PrefetchMethods, prefetches)):
        base = _with(methods, base) if wanted else base
    return base


@cache
def _with(methods: Any, base: Any) -> Any:
    """`base` with these methods in front: a class of its own, so that caches without them never look where they do."""
    if issubclass(base, methods):
        return base
    described = {"__module__": base.__module__, "__doc__": base.__doc__, "_get_at_once": base.get}
    return type(base.__name__, (methods, base), described)


class Unusable(BaseCache):
    """In front of a cache that is configured wrongly. `manage.py check` makes every backend, and has to come to its
    end: what can't be used fails where it is used. Not a part of every cache, since `__getattr__` makes every other
    look-up slower."""

    _reason: DCacheError

    def __getattr__(self, name: str) -> Any:
        if name in ("fleet", "_codec", "_decode_bytes", "_item_bytes"):
            raise self._reason
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@receiver(request_started, dispatch_uid="django_dcache.budget")
def _begin_budget(**kwargs: Any) -> None:
    deadline.begin_request()
    prefetched.forget()


@receiver(request_finished, dispatch_uid="django_dcache.budget")
def _end_budget(**kwargs: Any) -> None:
    deadline.end_request()
    prefetched.forget()


__all__ = ["DCacheError", "DistributedCache"]
