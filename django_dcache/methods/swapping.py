"""Changes that depend on what is there: compare and swap, and locks on top of it."""

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..commands import Value
from ..errors import UnreadableValue
from ..flows import Operation, Run
from ..flows.swap import swap
from ..large_values import Large
from ..lock import Lock
from ..model.view import View
from ..operations import OVER
from ..operations.common import name
from ..operations.writing import refuse, unproven
from ..values.chunks import InChunks
from ..values.conditions import Conditional
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

    def _swap(self, made_key: str, old: Any, new: Any, ttl: float | None) -> Operation:
        item = None if ttl == OVER else self._item(made_key, new, ttl)
        if isinstance(item, Large) or (item is None and ttl != OVER):
            raise ValueError("The value is too large for one item, and can't be swapped in")

        def named(view: View) -> Any:
            if not view.trusted:
                return unproven(view)
            if item is not None and view.young(made_key):
                return refuse()
            return swap(view, name(view, made_key), self._equal_to(made_key, old), item)

        return (yield from self._settled(Run(named), False))

    def _equal_to(self, made_key: str, old: Any) -> Callable[[Value], bool]:
        def equal(there: Value) -> bool:
            try:
                return bool(self._codec.decode(made_key, there.flags, there.data or b"") == old)
            except (UnreadableValue, InChunks, Conditional):
                return False

        return equal
