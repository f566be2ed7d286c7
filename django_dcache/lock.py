"""A lock that processes share, in the cache."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any, NamedTuple, Protocol, Self

from .errors import DCacheError


class LockLost(DCacheError):
    """The lock is not this caller's: it was never taken, its time was over, or its node lost it."""


class LockNotTaken(DCacheError):
    """Another process holds the lock, or too few nodes answer to tell."""


class Cache(Protocol):
    """What a lock needs of it, and the same for event loops with an `a` before each name."""

    def add(self, key: Any, value: Any, timeout: Any, version: int | None) -> bool: ...

    def __getattr__(self, name: str) -> Any: ...


class Held(NamedTuple):
    token: str
    fence: int


class Lock:
    """Best effort: one holder at a time as long as the nodes keep what they hold, for a cache may evict or lose a lock.
    What must not happen twice also checks `fence`.

    `fence` is a number that rises with each holder: a store that refuses a lower one than it has seen is safe from a
    holder that was stopped in its tracks and wakes up after its time.

        with cache.lock("nightly", timeout=60) as lock: ...         # async with, too

    timeout: seconds for which it is held at most; None: until it is released. blocking_timeout: seconds to wait for it;
    None: for ever. sleep: seconds between two attempts. thread_local: it is the thread's or the task's that took it;
    else any caller that has this object may release it.
    """

    def __init__(
        self,
        cache: Cache,
        key: Any,
        version: int | None = None,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        thread_local: bool = True,
    ):
        if timeout is not None and timeout <= 0:
            raise ValueError(f"A lock is held for {timeout!r} seconds: want more than 0, or None")
        self._cache, self._key, self._version, self._timeout = cache, key, version, timeout
        self._sleep, self._blocking, self._patience = sleep, blocking, blocking_timeout
        self._local = thread_local
        self._held: dict[Any, Held] = {}
        """By caller."""

    def __repr__(self) -> str:
        return f"<Lock {self._key!r}>"

    @property
    def fence(self) -> int:
        """The number of this holder. Raises LockLost."""
        return self._mine().fence

    # For threads

    def acquire(self, blocking: bool | None = None, blocking_timeout: float | None = None) -> bool:
        """Whether it was taken."""
        token = token_hex(16)
        for pause in self._attempts(blocking, blocking_timeout):
            time.sleep(pause)
            if self._cache.add(self._key, token, self._timeout, self._version):
                fence = self._number()
                if fence is not None:
                    self._held[self._caller()] = Held(token, fence)
                    return True
                self._cache.delete_if(self._key, token, self._version)
        return False

    def release(self) -> None:
        """Let others take it. Raises LockLost: then this caller was not alone, or may not have been."""
        held = self._mine()
        del self._held[self._caller()]
        if not self._cache.delete_if(self._key, held.token, self._version):
            raise LockLost(f"lock {self._key!r}")

    def extend(self, timeout: float | None = None) -> None:
        """Hold it for its timeout, or for `timeout` seconds, from now on. Raises LockLost."""
        held = self._mine()
        seconds = self._timeout if timeout is None else timeout
        if not self._cache.cas(self._key, held.token, held.token, seconds, self._version):
            raise LockLost(f"lock {self._key!r}")

    def locked(self) -> bool:
        """Whether any caller holds it."""
        return self._cache.get(self._key, None, self._version, fresh=True) is not None

    def owned(self) -> bool:
        """Whether this caller does, by what the nodes say."""
        held = self._held.get(self._caller())
        return held is not None and self._cache.get(self._key, None, self._version, fresh=True) == held.token

    def _number(self) -> int | None:
        key = f"{self._key}:fence"
        for _ in range(2):
            try:
                number: int = self._cache.incr(key, 1, self._version)
                return number
            except ValueError:  # The first one, or it was evicted: the clock is ahead of all that were handed out.
                self._cache.add(key, time.time_ns() // 1000, None, self._version)
            except DCacheError:
                return None
        return None

    def __enter__(self) -> Self:
        if not self.acquire():
            raise LockNotTaken(f"lock {self._key!r}")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    # For event loops

    async def aacquire(self, blocking: bool | None = None, blocking_timeout: float | None = None) -> bool:
        token = token_hex(16)
        for pause in self._attempts(blocking, blocking_timeout):
            await asyncio.sleep(pause)
            if await self._cache.aadd(self._key, token, self._timeout, self._version):
                fence = await self._anumber()
                if fence is not None:
                    self._held[self._caller()] = Held(token, fence)
                    return True
                await self._cache.adelete_if(self._key, token, self._version)
        return False

    async def arelease(self) -> None:
        held = self._mine()
        del self._held[self._caller()]
        if not await self._cache.adelete_if(self._key, held.token, self._version):
            raise LockLost(f"lock {self._key!r}")

    async def aextend(self, timeout: float | None = None) -> None:
        held = self._mine()
        seconds = self._timeout if timeout is None else timeout
        if not await self._cache.acas(self._key, held.token, held.token, seconds, self._version):
            raise LockLost(f"lock {self._key!r}")

    async def alocked(self) -> bool:
        return await self._cache.aget(self._key, None, self._version, fresh=True) is not None

    async def aowned(self) -> bool:
        held = self._held.get(self._caller())
        return held is not None and await self._cache.aget(self._key, None, self._version, fresh=True) == held.token

    async def _anumber(self) -> int | None:
        key = f"{self._key}:fence"
        for _ in range(2):
            try:
                number: int = await self._cache.aincr(key, 1, self._version)
                return number
            except ValueError:
                await self._cache.aadd(key, time.time_ns() // 1000, None, self._version)
            except DCacheError:
                return None
        return None

    async def __aenter__(self) -> Self:
        if not await self.aacquire():
            raise LockNotTaken(f"lock {self._key!r}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.arelease()

    # For both

    def _attempts(self, blocking: bool | None, patience: float | None) -> Iterator[float]:
        """For each attempt the seconds to wait before it."""
        blocking = self._blocking if blocking is None else blocking
        patience = self._patience if patience is None else patience
        until = time.monotonic() + patience if patience is not None else float("inf")
        yield 0.0
        while blocking and (left := until - time.monotonic()) > 0:
            # Not all at the same moment.
            yield min(left, self._sleep * random.uniform(0.5, 1.0))

    def _mine(self) -> Held:
        try:
            return self._held[self._caller()]
        except KeyError:
            raise LockLost(f"lock {self._key!r}") from None

    def _caller(self) -> Any:
        if not self._local:
            return None
        try:
            task = asyncio.current_task()
        except RuntimeError:  # There is no event loop in this thread.
            task = None
        return threading.get_ident() if task is None else task
