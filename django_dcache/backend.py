"""Django's cache API over a fleet, every method for threads and for event loops. Both drive the same operation."""

from typing import Any

from django.core.signals import request_finished, request_started
from django.dispatch import receiver

from . import checks
from .conf import plain_options
from .errors import ConfigurationError, DCacheError
from .identity import fleet_alias, owner
from .large_values import item_bytes
from .methods import AsyncMethods, NearMethods, SyncMethods
from .neighbours import head
from .runtime import deadline, registry


class DistributedCache(SyncMethods, AsyncMethods):
    """A cache alias on a fleet of memcached nodes. A cheap handle: sockets and state belong to the process."""

    def __init__(self, location: Any, params: dict[str, Any]):
        super().__init__(params)
        try:
            options = plain_options(params.get("OPTIONS"))
            self.fleet = registry.fleet(fleet_alias(location), location, options, owner(location, options))
        except ConfigurationError as error:
            self._unusable = checks.unusable(error)
            self.__class__ = UnusableCache
            return
        self._codec = self.fleet.codec
        self._decode_bytes = self._codec.decode
        self._item_bytes = item_bytes(self.fleet.options)
        self.fleet.heads.add(head(self))
        if self.fleet.near:
            self._near = self.fleet.near
            self.__class__ = NearCache

    def staleness_bound(self) -> float:
        """Seconds by which what is read now may lag an acknowledged write, at most (see `Fleet.staleness_bound`)."""
        return self.fleet.staleness_bound()


class NearCache(NearMethods, DistributedCache):
    """One whose process keeps what it read for a moment (OPTIONS["near"]). A class of its own, so that others never
    look."""


class UnusableCache(DistributedCache):
    """One that is configured wrongly. `manage.py check` makes every backend, and has to come to its end: what can't be
    used fails where it is used. A class of its own, since `__getattr__` makes every other look-up slower."""

    def __getattr__(self, name: str) -> Any:
        if name in ("fleet", "_codec", "_decode_bytes", "_item_bytes"):
            raise self._unusable
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@receiver(request_started, dispatch_uid="django_dcache.budget")
def _begin_budget(**kwargs: Any) -> None:
    deadline.begin_request()


@receiver(request_finished, dispatch_uid="django_dcache.budget")
def _end_budget(**kwargs: Any) -> None:
    deadline.end_request()


__all__ = ["DCacheError", "DistributedCache"]
