"""Django's cache API over a fleet, every method for threads and for event loops. Both drive the same operation."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, default_key_func
from django.core.signals import request_finished, request_started
from django.dispatch import receiver

from . import checks
from .conf import plain_options
from .errors import ConfigurationError, DCacheError, UnreadableValue
from .flows import Item, Operation
from .identity import fleet_alias, owners
from .large_values import Large, item_bytes
from .operations import ABSENT, OVER, Operations
from .runtime import aio_loop, aio_shortcut, deadline, registry, shortcut, shortcut_many
from .runtime.aio_shortcut import AsyncNeedsFlow
from .runtime.shortcut import NeedsFlow
from .values.chunks import InChunks
from .values.plain import MOST

KEYS_OF_AN_OPERATION = 500
"""The keys of one call that have the time of one operation: a hundredth of it is enough for them."""
Value = TypeVar("Value")
Items = dict[str, Item | Large | None]


class DistributedCache(Operations):
    """A cache alias on a fleet of memcached nodes. A cheap handle: sockets and state belong to the process."""

    def __init__(self, location: Any, params: dict[str, Any]):
        super().__init__(params)
        try:
            options = plain_options(params.get("OPTIONS"))
            self.fleet = registry.fleet(fleet_alias(location), location, options, owners(options))
        except ConfigurationError as error:
            self._unusable = checks.unusable(error)
            return
        self._codec = self.fleet.codec
        self._decode_bytes = self._codec.decode
        self._item_bytes = item_bytes(self.fleet.options)

    def __getattr__(self, name: str) -> Any:
        # `manage.py check` makes every backend, and has to come to its end: what can't be used fails where it is used.
        if name in ("fleet", "_codec", "_decode_bytes", "_item_bytes"):
            raise self._unusable
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _run(self, operation: Operation, needs: NeedsFlow | InChunks | None = None) -> Any:
        """The result of an operation; `needs`: its first rounds, as far as the short cut carried them."""
        resume, answer = operation.send, None
        while True:
            try:
                flow, arguments = resume(answer)
            except StopIteration as stop:
                return stop.value
            began, rounds = (needs.began, needs.rounds) if needs else (None, ())
            needs = None
            try:
                resume, answer = operation.send, self.fleet.run(flow, *arguments, began=began, rounds=rounds)
            except Exception as error:
                resume, answer = operation.throw, error

    async def _arun(self, operation: Operation, needs: AsyncNeedsFlow | InChunks | None = None) -> Any:
        resume, answer = operation.send, None
        while True:
            try:
                flow, arguments = resume(answer)
            except StopIteration as stop:
                return stop.value
            began, rounds = (needs.began, needs.rounds) if needs else (None, ())
            needs = None
            try:
                answer = await aio_loop.run(self.fleet, flow, *arguments, began=began, rounds=rounds)
                resume = operation.send
            except Exception as error:
                resume, answer = operation.throw, error

    def staleness_bound(self) -> float:
        """Seconds by which what is read now may lag an acknowledged write, at most (see `Fleet.staleness_bound`)."""
        return self.fleet.staleness_bound()

    def make_key(self, key: Any, version: int | None = None) -> str:
        if self.key_func is default_key_func:  # The same in one call.
            return f"{self.key_prefix}:{self.version if version is None else version}:{key!s}"
        return str(super().make_key(key, version))

    def _made_keys(self, keys: Iterable[Any], version: int | None) -> dict[str, Any]:
        """Django's keys by their made keys."""
        if self.key_func is default_key_func:
            head = f"{self.key_prefix}:{self.version if version is None else version}:"
            return {f"{head}{key!s}": key for key in keys}
        return {self.make_key(key, version): key for key in keys}

    # Reading

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        made_key = self.make_key(key, version)
        try:
            found = shortcut.get(self.fleet, made_key)
            if found is None:
                return default
            flags, data = found
            return self._decode_bytes(made_key, flags, data)
        except (NeedsFlow, InChunks) as needs:
            return self._run(self._get(made_key, default), needs)
        except UnreadableValue as error:
            return self._unreadable(error, default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        made_key = self.make_key(key, version)
        try:
            found = await aio_shortcut.get(self.fleet, made_key)
            if found is None:
                return default
            value = self._decoded(made_key, *found)
        except (AsyncNeedsFlow, InChunks) as needs:
            return await self._arun(self._get(made_key, default), needs)
        return default if value is ABSENT else value

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        wanted = self._made_keys(keys, version)
        if len(wanted) == 1:
            (key,) = wanted.values()
            value = self.get(key, ABSENT, version)
            return {} if value is ABSENT else {key: value}
        values: dict[Any, Any] = {}
        for made_keys in self._parts(wanted):
            try:
                values |= self._values(shortcut_many.get_many(self.fleet, made_keys), made_keys)
            except (NeedsFlow, InChunks) as needs:
                values |= self._run(self._get_many(made_keys), needs)
        return values

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for made_keys in self._parts(self._made_keys(keys, version)):
            try:
                values |= self._values(await aio_shortcut.get_many(self.fleet, made_keys), made_keys)
            except (AsyncNeedsFlow, InChunks) as needs:
                values |= await self._arun(self._get_many(made_keys), needs)
        return values

    def _values(self, found: Mapping[str, tuple[int, bytes]], made_keys: Mapping[str, Any]) -> dict[Any, Any]:
        """By Django's keys."""
        decode = self._decode_bytes
        try:
            return {made_keys[made_key]: decode(made_key, flags, data) for made_key, (flags, data) in found.items()}
        except UnreadableValue:  # One by one, to see which.
            values = ((made_keys[made_key], self._decoded(made_key, *data)) for made_key, data in found.items())
            return {key: value for key, value in values if value is not ABSENT}

    def _parts(self, items: Mapping[str, Value]) -> Iterable[Mapping[str, Value]]:
        """As few at a time as have the time that one operation has. None is sent unless every key is legal."""
        if len(items) <= KEYS_OF_AN_OPERATION:
            return (items,) if items else ()
        for made_key in items:
            self.validate_key(made_key)
        pairs = iter(items.items())
        return iter(lambda: dict(islice(pairs, KEYS_OF_AN_OPERATION)), {})

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self.get(key, ABSENT, version) is not ABSENT

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        return await self.aget(key, ABSENT, version) is not ABSENT

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """The value, or what `default` is or returns, stored for next time.

        The right to store is leased before `default` is called and lost to any write meanwhile: a slow loader never
        overwrites something newer. While one caller loads, others wait briefly instead of loading too.
        """
        made_key, needs = self.make_key(key, version), None
        try:
            found = shortcut.get(self.fleet, made_key, loads=True)
            if found and (value := self._decoded(made_key, *found)) is not ABSENT:
                return value
        except (NeedsFlow, InChunks) as more:
            needs = more.with_traceback(None)  # A cycle would keep its connections open until it is collected.
        return self._run(self._get_or_set(made_key, default, self._ttl(timeout), self._run), needs)

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        """`get_or_set`; what `default` returns may also be awaitable."""
        made_key, needs = self.make_key(key, version), None
        try:
            found = await aio_shortcut.get(self.fleet, made_key, loads=True)
            if found and (value := self._decoded(made_key, *found)) is not ABSENT:
                return value
        except (AsyncNeedsFlow, InChunks) as more:
            needs = more.with_traceback(None)
        operation = self._get_or_set(made_key, default, self._ttl(timeout), self._arun, may_await=True)
        return await self._arun(operation, needs)

    # Writing

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """True if the value can be read now; False if it could not be stored (the old one is gone then)."""
        made_key, ttl, needs = self.make_key(key, version), self._ttl(timeout), None
        if ttl == OVER:
            return not self._delete_many((made_key,))
        item = self._item(made_key, value, ttl)
        if type(item) is Item:
            try:
                shortcut.store(self.fleet, made_key, *item)
                return True
            except NeedsFlow as more:
                needs = more.with_traceback(None)
        return bool(self._run(self._set(made_key, item), needs))

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return not await self._arun(self._remove_many((made_key,)))
        return bool(await self._arun(self._set(made_key, self._item(made_key, value, ttl))))

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """The keys that could not be stored."""
        if len(data) == 1:
            ((key, value),) = data.items()
            return [] if self.set(key, value, timeout, version) else [key]
        made_keys, ttl = self._made_keys(data, version), self._ttl(timeout)
        failed: list[str] = []
        if ttl == OVER:
            failed += self._delete_many(made_keys)
        else:
            for items in self._parts(self._items(data, made_keys, ttl)):
                try:
                    shortcut_many.store_many(self.fleet, items)
                except NeedsFlow as needs:
                    failed += self._run(self._set_many(items), needs)
        return [made_keys[made_key] for made_key in failed]

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        made_keys, ttl = self._made_keys(data, version), self._ttl(timeout)
        failed: list[str] = []
        if ttl == OVER:
            failed += await self._adelete_many(made_keys)
        else:
            for items in self._parts(self._items(data, made_keys, ttl)):
                failed += await self._arun(self._set_many(items))
        return [made_keys[made_key] for made_key in failed]

    def _items(self, data: Mapping[Any, Any], made_keys: Mapping[str, Any], ttl: float | None) -> Items:
        return {made_key: self._item(made_key, data[key], ttl) for made_key, key in made_keys.items()}

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl, needs = self.make_key(key, version), self._ttl(timeout), None
        if ttl == OVER:
            return self.get(key, ABSENT, version) is ABSENT
        item = self._item(made_key, value, ttl)
        if type(item) is Item:
            try:
                return shortcut.add(self.fleet, made_key, *item, self._codec.readable)
            except NeedsFlow as more:
                needs = more.with_traceback(None)
        return bool(self._run(self._add(made_key, item), needs))

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return await self.aget(key, ABSENT, version) is ABSENT
        return bool(await self._arun(self._add(made_key, self._item(made_key, value, ttl))))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return self.delete(key, version)
        try:
            return shortcut.touch(self.fleet, made_key, ttl)
        except NeedsFlow as needs:
            return bool(self._run(self._touch(made_key, ttl), needs))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return await self.adelete(key, version)
        return bool(await self._arun(self._touch(made_key, ttl)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """True if there was something to delete. No client reads it afterwards, whatever its nodes do."""
        made_key = self.make_key(key, version)
        try:
            return shortcut.remove(self.fleet, made_key)
        except NeedsFlow as needs:
            return bool(self._run(self._remove(made_key), needs))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        return bool(await self._arun(self._remove(self.make_key(key, version))))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        self._delete_many(self._made_keys(keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        await self._adelete_many(self._made_keys(keys, version))

    def _delete_many(self, made_keys: Iterable[str]) -> list[str]:
        """The made keys that may still be read."""
        failed: list[str] = []
        for part in self._parts(dict.fromkeys(made_keys)):
            try:
                shortcut_many.remove_many(self.fleet, part)
            except NeedsFlow as needs:
                failed += self._run(self._remove_many(part), needs)
        return failed

    async def _adelete_many(self, made_keys: Iterable[str]) -> list[str]:
        failed: list[str] = []
        for part in self._parts(dict.fromkeys(made_keys)):
            failed += await self._arun(self._remove_many(part))
        return failed

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """The new number; the TTL stays. Raises ValueError if there is none, TypeError if it is no whole number."""
        made_key, needs = self.make_key(key, version), None
        if isinstance(delta, int) and 0 <= delta <= MOST:
            try:
                number = shortcut.count(self.fleet, made_key, delta)
                if number is None:
                    raise ValueError(f"Key {key!r} not found")
                return number
            except NeedsFlow as more:
                needs = more.with_traceback(None)
        return int(self._run(self._incr(key, made_key, delta), needs))

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(await self._arun(self._incr(key, self.make_key(key, version), delta)))

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


@receiver(request_started, dispatch_uid="django_dcache.budget")
def _begin_budget(**kwargs: Any) -> None:
    deadline.begin_request()


@receiver(request_finished, dispatch_uid="django_dcache.budget")
def _end_budget(**kwargs: Any) -> None:
    deadline.end_request()


__all__ = ["DCacheError", "DistributedCache"]
