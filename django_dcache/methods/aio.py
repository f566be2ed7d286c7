"""Django's cache API for event loops: the same operations, and a short cut for what is only read."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..flows import Operation
from ..operations import ABSENT, OVER
from ..operations.loading import Renew
from ..runtime import aio_loop, aio_shortcut
from ..runtime.aio_shortcut import AsyncNeedsFlow
from ..values.chunks import InChunks
from ..values.conditions import Conditional
from .common import KEYS_OF_A_DELETION, ManyKeys, Tags


class AsyncMethods(ManyKeys):
    """Those that are awaited."""

    async def _arun(self, operation: Operation, needs: AsyncNeedsFlow | None = None) -> Any:
        resume, answer = operation.send, None
        while True:
            try:
                run = resume(answer)
            except StopIteration as stop:
                return stop.value
            carried, needs = needs.carried if needs else None, None
            try:
                answer = await aio_loop.run(self.fleet, run.flow, *run.arguments, carried=carried)
                resume = operation.send
            except Exception as error:
                resume, answer = operation.throw, error

    async def aget(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        made_key = self.make_key(key, version)
        try:
            found = await aio_shortcut.get(self.fleet, made_key)
            if found is None:
                return default
            flags, data = found
            value = self._decoded(made_key, flags, data)
        except AsyncNeedsFlow as needs:
            return await self._arun(self._get(made_key, default), needs)
        except (Conditional, InChunks) as special:
            value = await self._arun(self._special(made_key, flags, data, special))
        return default if value is ABSENT else value

    async def aget_many(
        self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False
    ) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for made_keys in self._parts(self._made_keys(keys, version)):
            try:
                found = await aio_shortcut.get_many(self.fleet, made_keys)
                values |= self._values(found, made_keys)
            except AsyncNeedsFlow as needs:
                values |= await self._arun(self._get_many(made_keys), needs)
            except (Conditional, InChunks):
                values |= await self._arun(self._values_of(found, made_keys))
        return values

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        return await self.aget(key, ABSENT, version) is not ABSENT

    async def aget_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Tags | None = None,
        stale: float = 0,
        renew: Renew | None = None,
    ) -> Any:
        """`get_or_set`; what `default` returns may also be awaitable."""
        made_key, needs = self.make_key(key, version), None
        try:
            found = await aio_shortcut.get(self.fleet, made_key, loads=True)
            if found and (value := await self._apresent(made_key, *found)) is not ABSENT:
                return value
        except AsyncNeedsFlow as more:
            needs = more.with_traceback(None)
        return await self._aload(made_key, default, timeout, needs, tags=tags, stale=stale, renew=renew)

    async def _apresent(self, made_key: str, flags: int, data: bytes) -> Any:
        """The value, or ABSENT."""
        try:
            return self._decoded(made_key, flags, data)
        except (Conditional, InChunks) as special:
            return await self._arun(self._special(made_key, flags, data, special))

    async def _aload(
        self,
        made_key: str,
        default: Any,
        timeout: Any,
        needs: AsyncNeedsFlow | None,
        tags: Tags | None = None,
        stale: float = 0,
        renew: Renew | None = None,
    ) -> Any:
        ttl = self._ttl(timeout)
        if tags is None and not stale:
            return await self._arun(self._get_or_set(made_key, default, ttl, self._arun, may_await=True), needs)
        return await self._arun(
            self._get_or_set_on_terms(made_key, default, ttl, self._arun, True, tags, stale, renew), needs
        )

    async def atag_versions(self, tags: Iterable[str]) -> Mapping[str, bytes]:
        """`tag_versions`."""
        versions: Mapping[str, bytes] = await self._arun(self._made_versions(tags, self._arun))
        return versions

    async def aset(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Tags | None = None,
        stale: float = 0,
        nx: bool = False,
        xx: bool = False,
        get: bool = False,
    ) -> Any:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if nx or xx or get:
            return await self._arun(self._set_if(made_key, value, ttl, nx, xx, get))
        if ttl == OVER:
            return not await self._arun(self._remove_many((made_key,)))
        if tags is not None:
            return not await self._arun(self._set_many_on_terms({made_key: value}, ttl, tags, self._arun, stale))
        return bool(await self._arun(self._set(made_key, self._item(made_key, value, ttl))))

    async def aset_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Tags | None = None,
    ) -> list[Any]:
        made_keys, ttl = self._made_keys(data, version), self._ttl(timeout)
        failed: list[str] = []
        if ttl == OVER:
            failed += await self._adelete_many(made_keys)
        elif tags is not None:
            versions = await self.atag_versions(tags)
            for values in self._parts({made_key: data[key] for made_key, key in made_keys.items()}):
                failed += await self._arun(self._set_many_on_terms(values, ttl, versions, self._arun))
        else:
            for items in self._parts(self._items(data, made_keys, ttl)):
                failed += await self._arun(self._set_many(items))
        return [made_keys[made_key] for made_key in failed]

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return await self.aget(key, ABSENT, version) is ABSENT
        return bool(await self._arun(self._add(made_key, self._item(made_key, value, ttl))))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return await self.adelete(key, version)
        return bool(await self._arun(self._touch(made_key, ttl)))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        return bool(await self._arun(self._remove(self.make_key(key, version))))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> int | None:
        made_keys = self._made_keys(keys, version)
        if self.fleet.options.count_deletes:
            return sum([int(await self._arun(self._count_removed(part))) for part in self._parts(made_keys)])
        await self._adelete_many(made_keys)
        return None

    async def _adelete_many(self, made_keys: Mapping[str, Any]) -> list[str]:
        failed: list[str] = []
        for part in self._parts(made_keys, KEYS_OF_A_DELETION):
            failed += await self._arun(self._remove_many(part))
        return failed

    async def aincr(
        self, key: Any, delta: int = 1, version: int | None = None, *, ignore_key_check: bool = False
    ) -> int:
        count = self._incr_or_begin if ignore_key_check else self._incr
        return int(await self._arun(count(key, self.make_key(key, version), delta)))

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr(key, -delta, version)

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(await self._arun(self._incr_version(key, delta, version)))

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr_version(key, -delta, version)

    async def aclear(self) -> bool:
        return bool(await self._arun(self._clear(asyncio.to_thread)))

    async def aclose(self, **kwargs: Any) -> None:
        """Nothing, without the thread that Django would do it in."""
