"""Changes that depend on what is there: compare and swap, and locks on top of it."""

from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..lock import Lock
from ..operations import OVER
from .aio import AsyncMethods
from .sync import SyncMethods


class SwappingMethods(SyncMethods, AsyncMethods):
    """Values in chunks and values with tags are equal to none."""

    def cas(self, key: Any, old: Any, new: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store `new` if the value is equal to `old`; whether it was. False changes nothing.

        Of several processes that swap the same value one succeeds at most. False too while a node that holds the key
        fails, and while the key is moving to another one: read the value again, then try again.
        """
        return bool(self._run(self._swap(self.make_key(key, version), old, new, self._ttl(timeout))))

    def delete_if(self, key: Any, old: Any, version: int | None = None) -> bool:
        """Delete the key if its value is equal to `old`; whether it was."""
        return bool(self._run(self._swap(self.make_key(key, version), old, None, OVER)))

    def lock(self, key: Any, version: int | None = None, timeout: float | None = None, **options: Any) -> Lock:
        """A `Lock`, by the arguments that django-redis takes: sleep, blocking, blocking_timeout, thread_local."""
        return Lock(self, key, version, timeout, **options)

    async def acas(
        self, key: Any, old: Any, new: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return bool(await self._arun(self._swap(self.make_key(key, version), old, new, self._ttl(timeout))))

    async def adelete_if(self, key: Any, old: Any, version: int | None = None) -> bool:
        return bool(await self._arun(self._swap(self.make_key(key, version), old, None, OVER)))

    def alock(self, key: Any, version: int | None = None, timeout: float | None = None, **options: Any) -> Lock:
        """The same lock: `async with` takes it for the task."""
        return Lock(self, key, version, timeout, **options)
