"""Django's cache API for an alias whose requests ask for many keys at once: reads look there first."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..errors import NoReplica, UnreadableValue
from ..operations import ABSENT
from ..runtime import aio_shortcut, prefetched, shortcut_many
from ..runtime.aio_loop import runner_of
from ..runtime.aio_shortcut import AsyncNeedsFlow
from ..runtime.prefetched import MISSING, Prefetched, of_request
from ..runtime.shortcut import NeedsFlow
from ..values.chunks import InChunks
from ..values.conditions import Conditional
from .dropping import DroppingMethods

ASK: Any = object()
"""What the memory says of a key that has to be asked for."""


class PrefetchMethods(DroppingMethods):
    """Those that read look into the memory of their request; without one they cost no more than that look."""

    _get_at_once: Any
    """The `get` of the class below, found without `super()`, which takes as long as the look."""

    def prefetch(self, keys: Iterable[Any], version: int | None = None) -> None:
        memory = self._begin_memory()
        self._prefetch(memory, [*memory.begin(()), *self._made_keys(keys, version)])

    async def aprefetch(self, keys: Iterable[Any], version: int | None = None) -> None:
        memory = self._begin_memory()
        await self._aprefetch(memory, [*memory.begin(()), *self._made_keys(keys, version)])

    def _begin_memory(self) -> Prefetched:
        return prefetched.here(self.fleet, self.fleet.options.freshness, self.fleet.clock)

    def _prefetch(self, memory: Prefetched, made_keys: Iterable[str]) -> None:
        fleet = self.fleet
        fleet.begin()  # What was read by a view that is not proven would not be served.
        for part in self._parts(self._unknown(memory, made_keys)):
            began, plans = fleet.begin(), fleet.plans
            try:
                found = dict.fromkeys(part) | shortcut_many.get_many(fleet, part)
            except NeedsFlow as needs:
                found = self._run(self._read(part), needs)
            memory.admit(began, plans, found)
            self._keep_near(began, plans, found)
            with suppress(NoReplica):  # The call that reads a value with tags says so.
                self._run(self._learn_versions(found))

    async def _aprefetch(self, memory: Prefetched, made_keys: Iterable[str]) -> None:
        fleet, runner = self.fleet, runner_of(self.fleet)
        await runner.begin()
        for part in self._parts(self._unknown(memory, made_keys)):
            began, plans = await runner.begin(), fleet.plans
            try:
                found = dict.fromkeys(part) | await aio_shortcut.get_many(fleet, part)
            except AsyncNeedsFlow as needs:
                found = await self._arun(self._read(part), needs)
            memory.admit(began, plans, found)
            self._keep_near(began, plans, found)
            with suppress(NoReplica):
                await self._arun(self._learn_versions(found))

    def _unknown(self, memory: Prefetched, made_keys: Iterable[str]) -> dict[str, None]:
        """Those that have to be asked for: neither in the memory nor near. None while keys move."""
        fleet = self.fleet
        now, plans = fleet.clock(), fleet.plans
        wanted: dict[str, None] = {}
        for made_key in made_keys if plans.stable else ():
            if memory.find(made_key, plans, fleet.proven_until):
                continue
            if entry := self._find_near(made_key, now, plans):
                memory.share(made_key, now, entry)
            else:
                wanted[made_key] = None
        return wanted

    # Reading

    def _known(self, memory: Prefetched, made_key: str) -> Any:
        """The value, ABSENT if there is none, or ASK."""
        entry = memory.find(made_key, self.fleet.plans, self.fleet.proven_until)
        if entry is None:
            return ASK
        if entry.value is MISSING:
            return ABSENT
        if entry.decoded:
            return entry.value
        try:
            return self._decode_bytes(made_key, entry.flags, entry.value)
        except InChunks:
            return ASK
        except Conditional as conditional:
            return ASK if (value := self._open_known(conditional)) is ABSENT else value
        except UnreadableValue as error:
            return self._unreadable(error, ABSENT)

    def _expected(self, memory: Prefetched, made_keys: Collection[str]) -> dict[str, None]:
        """What is to be fetched now because the request begins to read."""
        expected = memory.begin(made_keys)
        return dict.fromkeys([*made_keys, *expected]) if expected else {}

    def get(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        memories = of_request()
        if memories is None or (memory := memories[self.fleet]) is None:
            return self._get_at_once(key, default, version, fresh=fresh)
        made_key = self.make_key(key, version)
        expected = self._expected(memory, (made_key,))
        if fresh:
            return super().get(key, default, version, fresh=True)
        if expected:
            self._prefetch(memory, expected)
        value = self._known(memory, made_key)
        if value is ASK:
            return super().get(key, default, version)
        return default if value is ABSENT else value

    async def aget(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        memory = prefetched.of(self.fleet)
        if memory is None:
            return await super().aget(key, default, version, fresh=fresh)
        made_key = self.make_key(key, version)
        expected = self._expected(memory, (made_key,))
        if fresh:
            return await super().aget(key, default, version, fresh=True)
        if expected:
            await self._aprefetch(memory, expected)
        value = self._known(memory, made_key)
        if value is ASK:
            return await super().aget(key, default, version)
        return default if value is ABSENT else value

    def get_many(self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False) -> dict[Any, Any]:
        memory = prefetched.of(self.fleet)
        if memory is None:
            return super().get_many(keys, version, fresh=fresh)
        wanted = self._made_keys(keys, version)
        expected = self._expected(memory, wanted)
        if fresh:
            return super().get_many(wanted.values(), version, fresh=True)
        if expected:
            self._prefetch(memory, expected)
        values = self._take_known(memory, wanted)
        return values | super().get_many(wanted.values(), version) if wanted else values

    async def aget_many(
        self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False
    ) -> dict[Any, Any]:
        memory = prefetched.of(self.fleet)
        if memory is None:
            return await super().aget_many(keys, version, fresh=fresh)
        wanted = self._made_keys(keys, version)
        expected = self._expected(memory, wanted)
        if fresh:
            return await super().aget_many(wanted.values(), version, fresh=True)
        if expected:
            await self._aprefetch(memory, expected)
        values = self._take_known(memory, wanted)
        return values | await super().aget_many(wanted.values(), version) if wanted else values

    def _take_known(self, memory: Prefetched, wanted: dict[str, Any]) -> dict[Any, Any]:
        """What is known, by Django's keys; the rest stays wanted."""
        values: dict[Any, Any] = {}
        for made_key, key in tuple(wanted.items()):
            if (value := self._known(memory, made_key)) is not ASK:
                del wanted[made_key]
                if value is not ABSENT:
                    values[key] = value
        return values

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        if (memory := prefetched.of(self.fleet)) is not None:
            made_key = self.make_key(key, version)
            if expected := self._expected(memory, (made_key,)):
                self._prefetch(memory, expected)
            if (value := self._known(memory, made_key)) is not ASK and value is not ABSENT:
                return value
        return super().get_or_set(key, default, timeout, version, **conditions)

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        if (memory := prefetched.of(self.fleet)) is not None:
            made_key = self.make_key(key, version)
            if expected := self._expected(memory, (made_key,)):
                await self._aprefetch(memory, expected)
            if (value := self._known(memory, made_key)) is not ASK and value is not ABSENT:
                return value
        return await super().aget_or_set(key, default, timeout, version, **conditions)

    def dropping(self, made_keys: Collection[str] | None) -> AbstractContextManager[None]:
        memory, near = prefetched.of(self.fleet), super().dropping(made_keys)
        if memory is None:
            return near
        return _both(memory.clearing() if made_keys is None else memory.writing(made_keys), near)


@contextmanager
def _both(one: AbstractContextManager[None], other: AbstractContextManager[None]) -> Iterator[None]:
    with one, other:
        yield
