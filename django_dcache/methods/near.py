"""Django's cache API with a near cache in front: a look there before each read, and a drop around each write."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..errors import UnreadableValue
from ..operations import ABSENT
from ..runtime import aio_shortcut, shortcut, shortcut_many
from ..runtime.aio_shortcut import AsyncNeedsFlow
from ..runtime.near import Near
from ..runtime.plans import Plans
from ..runtime.shortcut import NeedsFlow
from ..values.chunks import InChunks
from .aio import AsyncMethods
from .sync import SyncMethods

Found = Mapping[str, tuple[int, bytes]]


class NearMethods(SyncMethods, AsyncMethods):
    """Those that read look near first; `fresh=True` asks the nodes all the same."""

    _near: Near

    def _served(self, made_key: str, plans: Plans) -> Any:
        """The value that is near, or ABSENT."""
        entry = self._near.find(made_key, plans, self.fleet.proven_until)
        if entry is None:
            return ABSENT
        return entry.value if entry.decoded else self._decode_bytes(made_key, entry.flags, entry.value)

    def _take_in(self, began: float, plans: Plans, found: Found, values: Mapping[str, Any]) -> None:
        for made_key, (flags, data) in found.items():
            if made_key in values:
                self._near.admit(made_key, began, plans, flags, data, values[made_key])

    # Reading

    def get(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        made_key, fleet, near = self.make_key(key, version), self.fleet, self._near
        plans, began = fleet.plans, fleet.clock()
        if (made_key in near.young or made_key in near.old) and not fresh:
            if (value := self._served(made_key, plans)) is not ABSENT:
                return value
        try:
            found = shortcut.get(fleet, made_key)
            if found is None:
                return default
            flags, data = found
            value = self._decode_bytes(made_key, flags, data)
        except (NeedsFlow, InChunks) as needs:
            return self._run(self._get(made_key, default), needs)
        except UnreadableValue as error:
            return self._unreadable(error, default)
        near.admit(made_key, began, plans, flags, data, value)
        return value

    async def aget(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        made_key, fleet, near = self.make_key(key, version), self.fleet, self._near
        plans, began = fleet.plans, fleet.clock()
        if (made_key in near.young or made_key in near.old) and not fresh:
            if (value := self._served(made_key, plans)) is not ABSENT:
                return value
        try:
            found = await aio_shortcut.get(fleet, made_key)
            if found is None:
                return default
            value = self._decoded(made_key, *found)
        except (AsyncNeedsFlow, InChunks) as needs:
            return await self._arun(self._get(made_key, default), needs)
        if value is ABSENT:
            return default
        near.admit(made_key, began, plans, *found, value)
        return value

    def get_many(self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False) -> dict[Any, Any]:
        wanted = self._made_keys(keys, version)
        if len(wanted) == 1:
            (key,) = wanted.values()
            value = self.get(key, ABSENT, version, fresh=fresh)
            return {} if value is ABSENT else {key: value}
        values, made_keys = self._look(wanted, fresh)
        for part in self._parts(made_keys):
            plans, began = self.fleet.plans, self.fleet.clock()
            try:
                found = shortcut_many.get_many(self.fleet, part)
                read = self._values(found, {made_key: made_key for made_key in part})
                self._take_in(began, plans, found, read)
                values |= {part[made_key]: value for made_key, value in read.items()}
            except (NeedsFlow, InChunks) as needs:
                values |= self._run(self._get_many(part), needs)
        return values

    async def aget_many(
        self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False
    ) -> dict[Any, Any]:
        values, made_keys = self._look(self._made_keys(keys, version), fresh)
        for part in self._parts(made_keys):
            plans, began = self.fleet.plans, self.fleet.clock()
            try:
                found = await aio_shortcut.get_many(self.fleet, part)
                read = self._values(found, {made_key: made_key for made_key in part})
                self._take_in(began, plans, found, read)
                values |= {part[made_key]: value for made_key, value in read.items()}
            except (AsyncNeedsFlow, InChunks) as needs:
                values |= await self._arun(self._get_many(part), needs)
        return values

    def _look(self, made_keys: dict[str, Any], fresh: bool) -> tuple[dict[Any, Any], dict[str, Any]]:
        """What is near, by Django's keys, and the made keys that have to be asked for."""
        values: dict[Any, Any] = {}
        if fresh:
            return values, made_keys
        for made_key, key in tuple(made_keys.items()):
            if (value := self._served(made_key, self.fleet.plans)) is not ABSENT:
                values[key] = value
                del made_keys[made_key]
        return values, made_keys

    # Writing: no look-up may take in what was read before the write was answered.

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return super().set(key, value, timeout, version)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return super().add(key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return super().touch(key, timeout, version)

    def delete(self, key: Any, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return super().delete(key, version)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        with self._near.writing((self.make_key(key, version),)):
            return super().incr(key, delta, version)

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        with self._near.writing(self._made_keys(data, version)):
            return super().set_many(data, timeout, version)

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        keys = list(keys)
        with self._near.writing(self._made_keys(keys, version)):
            super().delete_many(keys, version)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        with self._near.writing((self.make_key(key, version), self.make_key(key, version + delta))):
            return super().incr_version(key, delta, version)

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        if (value := self.get(key, ABSENT, version)) is not ABSENT:
            return value
        with self._near.writing((self.make_key(key, version),)):
            return super().get_or_set(key, default, timeout, version)

    def clear(self) -> bool:
        with self._near.clearing():
            return super().clear()

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return await super().aset(key, value, timeout, version)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return await super().aadd(key, value, timeout, version)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return await super().atouch(key, timeout, version)

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        with self._near.writing((self.make_key(key, version),)):
            return await super().adelete(key, version)

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        with self._near.writing((self.make_key(key, version),)):
            return await super().aincr(key, delta, version)

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        with self._near.writing(self._made_keys(data, version)):
            return await super().aset_many(data, timeout, version)

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        keys = list(keys)
        with self._near.writing(self._made_keys(keys, version)):
            await super().adelete_many(keys, version)

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        with self._near.writing((self.make_key(key, version), self.make_key(key, version + delta))):
            return await super().aincr_version(key, delta, version)

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        if (value := await self.aget(key, ABSENT, version)) is not ABSENT:
            return value
        with self._near.writing((self.make_key(key, version),)):
            return await super().aget_or_set(key, default, timeout, version)

    async def aclear(self) -> bool:
        with self._near.clearing():
            return await super().aclear()
