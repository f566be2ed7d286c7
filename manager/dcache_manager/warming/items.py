"""What a warmer yields. Each item knows how to fill its place in the cache, and that it is filled already.

Whoever fills a place reads it back: an item that says LOADED can be read by others.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from django.core.cache import BaseCache, caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from django_dcache.errors import DCacheError


class Outcome(StrEnum):
    LOADED = "loaded"
    PRESENT = "present"


class NotStored(DCacheError):
    """It is not in the cache."""


class Item(ABC):
    """Something to be in the cache."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a failure of it is listed under; no other item of the warmer has it."""

    @abstractmethod
    def warm(self) -> Outcome:
        """See to it that it is in the cache. Raises NotStored, or whatever the application raises."""

    @abstractmethod
    def made_key(self, cache: BaseCache) -> str | None:
        """Its full key in `cache`, which may have another prefix or version than today's; None if nobody can tell."""

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
        loads: list[Any] = []

        def load() -> Any:
            loads.append(self.source)
            return self.source()

        if not callable(self.source):
            if cache.add(self.key, self.source, self.timeout, self.version):
                return Outcome.LOADED
        else:
            cache.get_or_set(self.key, load, self.timeout, self.version)
            if not loads:
                return Outcome.PRESENT
        if not cache.has_key(self.key, self.version):
            raise NotStored("no node took it; or meanwhile somebody else deleted it, or is loading it")
        return Outcome.LOADED if loads else Outcome.PRESENT

    def made_key(self, cache: BaseCache) -> str | None:
        return str(cache.make_key(self.key, self.version))
