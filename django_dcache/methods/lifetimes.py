"""How long entries live: what it is asked for, and changed to. A TTL is in whole seconds where nodes keep no others
(memcached)."""

from collections.abc import Collection, Iterable
from datetime import datetime
from math import ceil
from time import time
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..commands import Value
from ..errors import NoReplica
from ..flows import Operation, Run
from ..flows.read import fetch
from ..model.view import View
from ..operations import ABSENT
from ..operations.common import name
from .aio import AsyncMethods
from .sync import SyncMethods


class LifetimeMethods(SyncMethods, AsyncMethods):
    """By the names that django-redis has for them."""

    def ttl(self, key: Any, version: int | None = None) -> int | None:
        """Seconds left, rounded up; None: it never expires; 0: there is no such key."""
        return _seconds(self.pttl(key, version))

    def pttl(self, key: Any, version: int | None = None) -> int | None:
        """The same in milliseconds."""
        left: int | None = self._run(self._left(self.make_key(key, version)))
        return left

    def expire(self, key: Any, timeout: float, version: int | None = None) -> bool:
        """Whether there is such a key; it has this many seconds left now. `touch`, by another name."""
        return self.touch(key, timeout, version)

    def pexpire(self, key: Any, timeout: float, version: int | None = None) -> bool:
        """The same in milliseconds."""
        return self.touch(key, _of_milliseconds(timeout), version)

    def expire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        """The same until a moment: Unix time, or a datetime (one without a zone is local)."""
        return self.touch(key, _until(when), version)

    def pexpire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        """The same, with Unix time in milliseconds."""
        return self.expire_at(key, when if isinstance(when, datetime) else when / 1000, version)

    def persist(self, key: Any, version: int | None = None) -> bool:
        """Whether there is such a key; it never expires now."""
        return self.touch(key, None, version)

    def get_many_with_ttl(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, tuple[Any, float | None]]:
        """(value, seconds left) of each key that is there; None: it never expires."""
        wanted = self._made_keys(keys, version)
        found: dict[Any, tuple[Any, float | None]] = {}
        for part in self._parts(wanted):
            read = self._run(self._with_ttl(part))
            found |= {wanted[made_key]: entry for made_key, entry in read.items()}
        return found

    async def attl(self, key: Any, version: int | None = None) -> int | None:
        return _seconds(await self.apttl(key, version))

    async def apttl(self, key: Any, version: int | None = None) -> int | None:
        left: int | None = await self._arun(self._left(self.make_key(key, version)))
        return left

    async def aexpire(self, key: Any, timeout: float, version: int | None = None) -> bool:
        return await self.atouch(key, timeout, version)

    async def apexpire(self, key: Any, timeout: float, version: int | None = None) -> bool:
        return await self.atouch(key, _of_milliseconds(timeout), version)

    async def aexpire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        return await self.atouch(key, _until(when), version)

    async def apexpire_at(self, key: Any, when: datetime | float, version: int | None = None) -> bool:
        return await self.aexpire_at(key, when if isinstance(when, datetime) else when / 1000, version)

    async def apersist(self, key: Any, version: int | None = None) -> bool:
        return await self.atouch(key, None, version)

    async def aget_many_with_ttl(
        self, keys: Iterable[Any], version: int | None = None
    ) -> dict[Any, tuple[Any, float | None]]:
        wanted = self._made_keys(keys, version)
        found: dict[Any, tuple[Any, float | None]] = {}
        for part in self._parts(wanted):
            read = await self._arun(self._with_ttl(part))
            found |= {wanted[made_key]: entry for made_key, entry in read.items()}
        return found

    # The operations

    def _fetch_ttl(self, made_keys: Collection[str], value: bool) -> Operation:
        """What there is of each key."""
        names: dict[str, bytes] = {}

        def named(view: View) -> Any:
            names.update((made_key, name(view, made_key)) for made_key in made_keys)
            return fetch(view, names.values(), value, ttl=True)

        try:
            found = yield Run(named)
        except NoReplica:
            self._failed(len(made_keys))
            return {}
        if found.unanswered:
            self._failed(found.unanswered)
        if found and self._doubted(len(found)):
            return {}
        return {made_key: found[name] for made_key, name in names.items() if name in found}

    def _left(self, made_key: str) -> Operation:
        """Milliseconds; None: it never expires; 0: there is no such key."""
        found: dict[str, Value] = yield from self._fetch_ttl((made_key,), value=False)
        if made_key not in found:
            return 0
        left = found[made_key].ttl
        return None if left is None else max(1, round(left * 1000))

    def _with_ttl(self, made_keys: Collection[str]) -> Operation:
        found: dict[str, Value] = yield from self._fetch_ttl(made_keys, value=True)
        values = yield from self._decode_many(found)
        return {key: (value, found[key].ttl) for key, value in values.items() if value is not ABSENT}


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else ceil(milliseconds / 1000)


def _of_milliseconds(timeout: Any) -> Any:
    """A timeout in seconds. The alias's own is that already."""
    return timeout if timeout is DEFAULT_TIMEOUT else timeout / 1000


def _until(when: datetime | float) -> float:
    """Seconds from now; below zero if it is over, which `touch` deletes."""
    return (when.timestamp() if isinstance(when, datetime) else when) - time()
