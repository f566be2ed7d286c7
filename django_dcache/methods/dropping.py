"""Django's cache API for a cache that keeps values in the process: what is written is dropped there, before the
write is sent and after it is answered. No read may take in what was there before.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..runtime.entries import Entry
from ..runtime.plans import Plans
from .swapping import SwappingMethods


class DroppingMethods(SwappingMethods):
    """Those that write. What keeps values says what `dropping` means."""

    def _find_near(self, made_key: str, now: float, plans: Plans) -> Entry | None:
        """What a near cache has of it."""
        return None

    def _keep_near(self, began: float, plans: Plans, found: Mapping[str, tuple[int, bytes] | None]) -> None:
        """Have a near cache take in what was read."""

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        with self.dropping((self.make_key(key, version),)):
            return super().set(key, value, timeout, version, **conditions)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return super().add(key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return super().touch(key, timeout, version)

    def delete(self, key: Any, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return super().delete(key, version)

    def incr(self, key: Any, delta: int = 1, version: int | None = None, **how: Any) -> int:
        with self.dropping((self.make_key(key, version),)):
            return super().incr(key, delta, version, **how)

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> list[Any]:
        with self.dropping(self._made_keys(data, version)):
            return super().set_many(data, timeout, version, **conditions)

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> int | None:
        keys = list(keys)
        with self.dropping(self._made_keys(keys, version)):
            return super().delete_many(keys, version)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        with self.dropping((self.make_key(key, version), self.make_key(key, version + delta))):
            return super().incr_version(key, delta, version)

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        with self.dropping((self.make_key(key, version),)):
            return super().get_or_set(key, default, timeout, version, **conditions)

    def clear(self) -> bool:
        with self.dropping(None):
            return super().clear()

    def cas(self, key: Any, old: Any, new: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return super().cas(key, old, new, timeout, version)

    def delete_if(self, key: Any, old: Any, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return super().delete_if(key, old, version)

    async def acas(
        self, key: Any, old: Any, new: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return await super().acas(key, old, new, timeout, version)

    async def adelete_if(self, key: Any, old: Any, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return await super().adelete_if(key, old, version)

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        with self.dropping((self.make_key(key, version),)):
            return await super().aset(key, value, timeout, version, **conditions)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return await super().aadd(key, value, timeout, version)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return await super().atouch(key, timeout, version)

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        with self.dropping((self.make_key(key, version),)):
            return await super().adelete(key, version)

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None, **how: Any) -> int:
        with self.dropping((self.make_key(key, version),)):
            return await super().aincr(key, delta, version, **how)

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> list[Any]:
        with self.dropping(self._made_keys(data, version)):
            return await super().aset_many(data, timeout, version, **conditions)

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> int | None:
        keys = list(keys)
        with self.dropping(self._made_keys(keys, version)):
            return await super().adelete_many(keys, version)

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        with self.dropping((self.make_key(key, version), self.make_key(key, version + delta))):
            return await super().aincr_version(key, delta, version)

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        with self.dropping((self.make_key(key, version),)):
            return await super().aget_or_set(key, default, timeout, version, **conditions)

    async def aclear(self) -> bool:
        with self.dropping(None):
            return await super().aclear()
