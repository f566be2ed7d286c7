"""Django's cache API over a fleet, every method for threads and for event loops. Both drive the same operation."""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, InvalidCacheKey, default_key_func
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.dispatch import receiver

from .errors import ConfigurationError, DCacheError, InvalidKey, UnreadableValue, ValueTooLarge
from .flows import Item
from .operations import OVER, Operation, Operations
from .runtime import aio_loop, aio_shortcut, budget, registry
from .runtime import shortcut as one
from .runtime import shortcut_many as many
from .runtime.plan import TakeFlow
from .values.plain import signed

MANY = 500
"""Keys of one call that are one operation, with one deadline; so many take a hundredth of it."""
Value = TypeVar("Value")

_DJANGO_OPTIONS = ("MAX_ENTRIES", "CULL_FREQUENCY")
"""Known to every Django backend, and without meaning for one that evicts by memory."""


class DistributedCache(Operations):
    """A cache alias on a fleet of memcached nodes. A cheap handle: sockets and state belong to the process."""

    def __init__(self, location: Any, params: dict[str, Any]):
        super().__init__(params)
        options = {name: value for name, value in params.get("OPTIONS", {}).items() if name not in _DJANGO_OPTIONS}
        try:
            self.fleet = registry.fleet(fleet_alias(location), location, options)
        except ConfigurationError as error:
            raise ImproperlyConfigured(str(error)) from error
        self._codec = self.fleet.codec

    def _run(self, operation: Operation) -> Any:
        resume, answer = operation.send, None
        while True:
            try:
                flow, arguments, deadline = resume(answer)
            except StopIteration as stop:
                return stop.value
            try:
                resume, answer = operation.send, self.fleet.run(flow, *arguments, deadline=deadline)
            except Exception as error:
                resume, answer = operation.throw, error

    async def _arun(self, operation: Operation) -> Any:
        resume, answer = operation.send, None
        while True:
            try:
                flow, arguments, deadline = resume(answer)
            except StopIteration as stop:
                return stop.value
            try:
                resume, answer = operation.send, await aio_loop.run(self.fleet, flow, *arguments, deadline=deadline)
            except Exception as error:
                resume, answer = operation.throw, error

    def staleness_bound(self) -> float:
        """Seconds by which what is read now may lag an acknowledged write, at most (see `Fleet.staleness_bound`)."""
        return self.fleet.staleness_bound()

    def make_key(self, key: Any, version: int | None = None) -> str:
        if self.key_func is default_key_func:  # The same in one call.
            return f"{self.key_prefix}:{self.version if version is None else version}:{key!s}"
        return str(super().make_key(key, version))

    def _make_keys(self, keys: Iterable[Any], version: int | None) -> list[str]:
        if self.key_func is default_key_func:
            head = f"{self.key_prefix}:{self.version if version is None else version}:"
            return [f"{head}{key!s}" for key in keys]
        return [self.make_key(key, version) for key in keys]

    # Reading

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            found = one.get(self.fleet, made_key := self.make_key(key, version))
            return default if found is None else self._codec.decode(made_key, *found)
        except TakeFlow as trouble:
            deadline = trouble.deadline
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None
        except UnreadableValue:
            deadline = None
        return self._run(self._get(key, default, version, deadline))

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            found = await aio_shortcut.get(self.fleet, made_key := self.make_key(key, version))
            return default if found is None else self._codec.decode(made_key, *found)
        except TakeFlow as trouble:
            deadline = trouble.deadline
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None
        except UnreadableValue:
            deadline = None
        return await self._arun(self._get(key, default, version, deadline))

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        keys = list(keys)
        values: dict[Any, Any] = {}
        for made_keys in self._parts(dict(zip(self._make_keys(keys, version), keys, strict=True))):
            try:
                found, rest = many.get_many(self.fleet, made_keys)
            except InvalidKey as error:
                raise InvalidCacheKey(str(error)) from None
            values |= self._values(found, made_keys, rest)
            if rest:
                values |= self._run(self._get_many([made_keys[made_key] for made_key in rest], version))
        return values

    def _parts(self, made_keys: dict[str, Value]) -> Iterable[dict[str, Value]]:
        """So many at a time as have the time that an operation has. Nothing is sent unless all are legal."""
        if len(made_keys) <= MANY:
            return (made_keys,)
        for made_key in made_keys:
            self.validate_key(made_key)
        pairs = iter(made_keys.items())
        return iter(lambda: dict(islice(pairs, MANY)), {})

    def _values(
        self, found: Mapping[str, tuple[int, bytes]], made_keys: Mapping[str, Any], rest: list[str]
    ) -> dict[Any, Any]:
        """By Django's keys. What can't be read is left to the flow."""
        values, decode = {}, self._codec.decode
        for made_key, (flags, data) in found.items():
            try:
                values[made_keys[made_key]] = decode(made_key, flags, data)
            except UnreadableValue:
                rest.append(made_key)
        return values

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        keys = list(keys)
        values: dict[Any, Any] = {}
        for made_keys in self._parts(dict(zip(self._make_keys(keys, version), keys, strict=True))):
            try:
                found, rest, deadline = await aio_shortcut.get_many(self.fleet, made_keys)
            except InvalidKey as error:
                raise InvalidCacheKey(str(error)) from None
            values |= self._values(found, made_keys, rest)
            if rest:
                left = [made_keys[made_key] for made_key in rest]
                values |= await self._arun(self._get_many(left, version, deadline))
        return values

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return bool(self._run(self._has_key(key, version)))

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        return bool(await self._arun(self._has_key(key, version)))

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """The value, or what `default` is or returns, stored for next time.

        The right to store is leased before `default` is called and lost to any write meanwhile: a slow loader never
        overwrites something newer. While one caller loads, others wait briefly instead of loading too.
        """
        return self._run(self._get_or_set(key, default, timeout, version))

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        """`get_or_set`; what `default` returns may also be awaitable."""
        return await self._arun(self._get_or_set(key, default, timeout, version, may_await=True))

    # Writing

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """True if the value can be read now; False if it could not be stored (the old one is gone then)."""
        ttl = self._ttl(timeout)
        if ttl == OVER:
            return bool(self._run(self._set(key, value, timeout, version)))
        try:
            flags, data = self._codec.encode(made_key := self.make_key(key, version), value)
            return one.store(self.fleet, made_key, flags, data, ttl) or self._failed(1)
        except TakeFlow:
            return bool(self._run(self._write({made_key: Item(flags, data, ttl)}))[made_key].successful)
        except ValueTooLarge:
            return bool(self._run(self._set(key, value, timeout, version)))
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(await self._arun(self._set(key, value, timeout, version)))

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """The keys that could not be stored."""
        ttl = self._ttl(timeout)
        made_keys = dict(zip(self._make_keys(data, version), data, strict=True))
        if ttl == OVER:
            return [made_keys[made_key] for made_key in self._remove_many(made_keys)]
        try:
            encoded = {made_key: self._codec.encode(made_key, data[key]) for made_key, key in made_keys.items()}
        except ValueTooLarge:
            parts = ({key: data[key] for key in part.values()} for part in self._parts(made_keys))
            return [key for part in parts for key in self._run(self._set_many(part, timeout, version))]
        failed = [made_key for items in self._parts(encoded) for made_key in self._store_many(items, ttl)]
        return [made_keys[made_key] for made_key in failed]

    def _store_many(self, items: Mapping[str, tuple[int, bytes]], ttl: float | None) -> Collection[str]:
        """The made keys of those that could not be stored."""
        try:
            failed, rest = many.store_many(self.fleet, items, ttl)
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None
        if failed:
            self._failed(len(failed))
        if rest:
            outcomes = self._run(self._write({made_key: Item(*items[made_key], ttl) for made_key in rest}))
            failed |= {made_key for made_key in rest if not outcomes[made_key].successful}
        return failed

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        failed: list[Any] = []
        for part in self._parts(dict(zip(self._make_keys(data, version), data, strict=True))):
            some = {key: data[key] for key in part.values()}
            failed += await self._arun(self._set_many(some, timeout, version))
        return failed

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._run(self._add(key, value, timeout, version)))

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(await self._arun(self._add(key, value, timeout, version)))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._run(self._touch(key, timeout, version)))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(await self._arun(self._touch(key, timeout, version)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """True if there was something to delete. Nobody reads it afterwards, whatever its nodes do."""
        try:
            existed, gone = one.remove(self.fleet, self.make_key(key, version))
            return existed if gone else self._failed(1)
        except TakeFlow:
            return bool(self._run(self._delete(key, version)))
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        return bool(await self._arun(self._delete(key, version)))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        self._remove_many(self._make_keys(keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        keys = list(keys)
        for part in self._parts(dict(zip(self._make_keys(keys, version), keys, strict=True))):
            await self._arun(self._delete_many(part.values(), version))

    def _remove_many(self, made_keys: Collection[str]) -> Collection[str]:
        """The made keys that somebody may still read."""
        if len(made_keys) > MANY:
            return [name for part in self._parts(dict.fromkeys(made_keys)) for name in self._remove_many(part)]
        try:
            failed, rest = many.remove_many(self.fleet, made_keys)
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None
        if failed:
            self._failed(len(failed))
        if rest:
            outcomes = self._run(self._write(dict.fromkeys(rest)))
            failed |= {made_key for made_key in rest if not outcomes[made_key].acknowledged}
        return failed

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """The new number; the TTL stays. Raises ValueError if there is none, TypeError if it is no whole number."""
        try:
            if not isinstance(delta, int):
                raise TakeFlow
            number = one.count(self.fleet, self.make_key(key, version), delta)
        except TakeFlow:
            return int(self._run(self._incr(key, delta, version)))
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None
        if number is None:
            raise ValueError(f"Key {key!r} not found")
        return signed(number)

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(await self._arun(self._incr(key, delta, version)))

    def decr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return self.incr(key, -delta, version)

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr(key, -delta, version)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(self._run(self._incr_version(key, delta, version)))

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(await self._arun(self._incr_version(key, delta, version)))

    def decr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return self.incr_version(key, -delta, version)

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr_version(key, -delta, version)

    def clear(self) -> bool:
        """Empty the fleet, for everybody who shares it."""
        return bool(self._run(self._clear()))

    async def aclear(self) -> bool:
        return bool(await self._arun(self._clear()))

    def close(self, **kwargs: Any) -> None:
        """Nothing: Django calls this after every request, and connections survive requests."""

    async def aclose(self, **kwargs: Any) -> None:
        """Nothing, without the thread that Django would do it in."""


def fleet_alias(location: Any) -> str:
    """The alias whose name the fleet gets: the first one with this LOCATION, so that aliases on the same nodes share a
    fleet (docs/adr/0002)."""
    from django.conf import settings

    for alias, entry in settings.CACHES.items():
        if entry.get("LOCATION") == location:
            return alias
    return "default"


@receiver(request_started, dispatch_uid="django_dcache.budget")
def _begin_budget(**kwargs: Any) -> None:
    budget.begin()


@receiver(request_finished, dispatch_uid="django_dcache.budget")
def _end_budget(**kwargs: Any) -> None:
    budget.end()


__all__ = ["DCacheError", "DistributedCache"]
