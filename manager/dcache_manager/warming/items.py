"""What a warmer yields. Each item knows how to fill its place in the cache, and whether it is filled already.

An item that is filled is read back: one that says LOADED can be read by every client.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Self

from django.core.cache import BaseCache, caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from django_dcache.errors import DCacheError

from .presence import Presence, look

POLL_SECONDS = 0.1
"""Between two looks whether another client has loaded it."""
LEASED_SECONDS = 30
"""How long another client is given to load it."""


class Outcome(StrEnum):
    LOADED = "loaded"
    PRESENT = "present"


class NotStored(DCacheError):
    """The item is not in the cache."""


class Item(ABC):
    """Something to be in the cache."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a failure of it is listed under; no other item of the warmer has it."""

    @abstractmethod
    def warm(self) -> Outcome:
        """Make sure that it is in the cache. Raises NotStored, or what the application raises."""

    @abstractmethod
    def made_key(self, cache: BaseCache) -> str | None:
        """Its full key in `cache`, which may have another prefix or version than today's; None if it can't be told."""

    def within(self, alias: str, timeout: Any, version: int | None) -> Self:
        """The same item with what its warmer says wherever it says nothing itself."""
        return self


@dataclass(frozen=True, slots=True)
class Entry(Item):
    """One key. `source` is a loader if it can be called, else the value."""

    key: Any
    source: Any
    timeout: Any = DEFAULT_TIMEOUT
    version: int | None = None
    alias: str = "default"
    """Its warmer's."""

    @property
    def name(self) -> str:
        return str(caches[self.alias].make_key(self.key, self.version))

    def within(self, alias: str, timeout: Any, version: int | None) -> Self:
        return replace(
            self,
            alias=alias,
            timeout=timeout if self.timeout is DEFAULT_TIMEOUT else self.timeout,
            version=version if self.version is None else self.version,
        )

    def warm(self) -> Outcome:
        """With a loader exactly as `get_or_set`: leased before the loader runs, lost to any write meanwhile."""
        cache = caches[self.alias]
        if look(cache, self.key, self.version) is Presence.THERE:
            return Outcome.PRESENT
        for _ in range(2):
            loads: list[Any] = []
            if callable(self.source):
                cache.get_or_set(self.key, partial(_load, self.source, loads), self.timeout, self.version)
            elif cache.add(self.key, self.source, self.timeout, self.version):
                loads.append(self.source)
            seen = look(cache, self.key, self.version)
            if seen is Presence.THERE:
                return Outcome.LOADED if loads else Outcome.PRESENT
            if seen is Presence.MISSING:
                break
            self._wait(cache)
        raise NotStored("no node took it, or it was deleted meanwhile")

    def _wait(self, cache: BaseCache) -> None:
        """While another client holds the lease; a dead one's runs out."""
        give_up = time.monotonic() + LEASED_SECONDS
        while look(cache, self.key, self.version) is Presence.LEASED and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)

    def made_key(self, cache: BaseCache) -> str | None:
        return str(cache.make_key(self.key, self.version))


def _load(source: Callable[[], Any], loads: list[Any]) -> Any:
    loads.append(source)
    return source()
