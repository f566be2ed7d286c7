"""Django's cache API with a near cache in front: a look there before each read of a key that was read before."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..errors import UnreadableValue
from ..operations import ABSENT
from ..runtime import aio_shortcut, shortcut, shortcut_many
from ..runtime.aio_shortcut import AsyncNeedsFlow
from ..runtime.entries import Entry
from ..runtime.near import Near
from ..runtime.plans import Plans
from ..runtime.shortcut import NeedsFlow
from ..values.chunks import InChunks
from ..values.conditions import Conditional
from .common import Found
from .dropping import DroppingMethods


class NearMethods(DroppingMethods):
    """Those that read look near first; `fresh=True` asks the nodes all the same. What is read for the first time is not
    kept, and takes no look at the clock."""

    _near: Near

    def dropping(self, made_keys: Collection[str] | None) -> AbstractContextManager[None]:
        return self._near.clearing() if made_keys is None else self._near.writing(made_keys)

    def _find_near(self, made_key: str, now: float, plans: Plans) -> Entry | None:
        return self._near.find(made_key, now, plans, self.fleet.proven_until)

    def _keep_near(self, began: float, plans: Plans, found: Mapping[str, tuple[int, bytes] | None]) -> None:
        for made_key, read in found.items():
            if not read or not self._near.read_before(made_key):
                continue
            value = None
            with suppress(Conditional):  # Which is looked at each time.
                try:
                    value = self._decode_bytes(made_key, *read)
                except (InChunks, UnreadableValue):
                    continue
            self._near.admit(made_key, began, plans, *read, value)

    def _read_with_due(self, made_key: str, due: list[str], plans: Plans, began: float, default: Any) -> Any:
        """The value of a key, read in one round with what is due to be read again."""
        keys = [made_key, *due]
        try:
            found = dict.fromkeys(keys) | shortcut_many.get_many(self.fleet, keys)
        except NeedsFlow as needs:
            found = self._run(self._read(keys), needs)
        self._keep_near(began, plans, found)
        if made_key in found and found[made_key] is None:
            return default
        value = self._served(made_key, self.fleet.clock(), plans)
        return self._run(self._get(made_key, default)) if value is ABSENT else value

    def _served(self, made_key: str, now: float, plans: Plans) -> Any:
        """The value that is near, or ABSENT."""
        entry = self._near.find(made_key, now, plans, self.fleet.proven_until)
        if entry is None:
            return ABSENT
        try:
            return entry.value if entry.decoded else self._decode_bytes(made_key, entry.flags, entry.value)
        except Conditional as conditional:  # Each time anew: its tags may have changed since it came in.
            return self._open_known(conditional)

    def get(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        made_key = self.make_key(key, version)
        near = self._near
        began = None
        try:
            if near.read_before(made_key):
                plans, began = self.fleet.plans, self.fleet.clock()
                if not fresh and (value := self._served(made_key, began, plans)) is not ABSENT:
                    return value
                if due := near.due(began):
                    return self._read_with_due(made_key, due, plans, began, default)
            found = shortcut.get(self.fleet, made_key)
            if found is None:
                return default
            flags, data = found
            value = self._decode_bytes(made_key, flags, data)
        except NeedsFlow as needs:
            return self._run(self._get(made_key, default), needs)
        except UnreadableValue as error:
            return self._unreadable(error, default)
        except (Conditional, InChunks) as special:
            value = self._run(self._special(made_key, flags, data, special, fresh))
            if value is ABSENT:
                return default
        if began is not None:
            near.admit(made_key, began, plans, flags, data, value)
        return value

    async def aget(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        made_key, fleet, near, began = self.make_key(key, version), self.fleet, self._near, None
        try:
            if near.read_before(made_key):
                plans, began = fleet.plans, fleet.clock()
                if not fresh and (value := self._served(made_key, began, plans)) is not ABSENT:
                    return value
            found = await aio_shortcut.get(fleet, made_key)
            if found is None:
                return default
            flags, data = found
            value = self._decode_bytes(made_key, flags, data)
        except AsyncNeedsFlow as needs:
            return await self._arun(self._get(made_key, default), needs)
        except UnreadableValue as error:
            return self._unreadable(error, default)
        except (Conditional, InChunks) as special:
            value = await self._arun(self._special(made_key, flags, data, special, fresh))
            if value is ABSENT:
                return default
        if began is not None:
            near.admit(made_key, began, plans, flags, data, value)
        return value

    def get_many(self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False) -> dict[Any, Any]:
        wanted = self._made_keys(keys, version)
        if len(wanted) == 1:
            (key,) = wanted.values()
            value = self.get(key, ABSENT, version, fresh=fresh)
            return {} if value is ABSENT else {key: value}
        again = self._near.all_read_before(wanted)
        values = {} if fresh else self._take_near(wanted, again)
        for part in self._parts(wanted):
            plans, began = self.fleet.plans, self.fleet.clock()
            try:
                found = shortcut_many.get_many(self.fleet, part)
                try:
                    read = self._values(found, part)
                except (Conditional, InChunks):
                    read = self._run(self._values_of(found, part, fresh))
                self._take_in(again, began, plans, found, part, read)
                values |= read
            except NeedsFlow as needs:
                values |= self._run(self._get_many(part), needs)
        return values

    async def aget_many(
        self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False
    ) -> dict[Any, Any]:
        wanted = self._made_keys(keys, version)
        again = self._near.all_read_before(wanted)
        values = {} if fresh else self._take_near(wanted, again)
        for part in self._parts(wanted):
            plans, began = self.fleet.plans, self.fleet.clock()
            try:
                found = await aio_shortcut.get_many(self.fleet, part)
                try:
                    read = self._values(found, part)
                except (Conditional, InChunks):
                    read = await self._arun(self._values_of(found, part, fresh))
                self._take_in(again, began, plans, found, part, read)
                values |= read
            except AsyncNeedsFlow as needs:
                values |= await self._arun(self._get_many(part), needs)
        return values

    def _take_near(self, wanted: dict[str, Any], again: Iterable[str]) -> dict[Any, Any]:
        """Of those that were read before what is near, by Django's keys; the rest stays wanted."""
        now, plans, values = self.fleet.clock(), self.fleet.plans, {}
        for made_key in again:
            if (value := self._served(made_key, now, plans)) is not ABSENT:
                values[wanted.pop(made_key)] = value
        return values

    def _take_in(
        self,
        again: Iterable[str],
        began: float,
        plans: Plans,
        found: Found,
        part: Mapping[str, Any],
        values: Mapping[Any, Any],
    ) -> None:
        for made_key in again:
            if made_key in found and part[made_key] in values:
                self._near.admit(made_key, began, plans, *found[made_key], values[part[made_key]])

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        made_key, fleet, near = self.make_key(key, version), self.fleet, self._near
        began = needs = None
        if near.read_before(made_key):
            plans, began = fleet.plans, fleet.clock()
            if (value := self._served(made_key, began, plans)) is not ABSENT:
                return value
        try:
            found = shortcut.get(fleet, made_key, loads=True)
            if found and (value := self._present(made_key, *found)) is not ABSENT:
                if began is not None:
                    near.admit(made_key, began, plans, *found, value)
                return value
        except NeedsFlow as error:
            needs = error.with_traceback(None)
        with self.dropping((made_key,)):
            return self._load(made_key, default, timeout, needs, **conditions)

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **conditions: Any
    ) -> Any:
        made_key, fleet, near = self.make_key(key, version), self.fleet, self._near
        began = needs = None
        if near.read_before(made_key):
            plans, began = fleet.plans, fleet.clock()
            if (value := self._served(made_key, began, plans)) is not ABSENT:
                return value
        try:
            found = await aio_shortcut.get(fleet, made_key, loads=True)
            if found and (value := await self._apresent(made_key, *found)) is not ABSENT:
                if began is not None:
                    near.admit(made_key, began, plans, *found, value)
                return value
        except AsyncNeedsFlow as error:
            needs = error.with_traceback(None)
        with self.dropping((made_key,)):
            return await self._aload(made_key, default, timeout, needs, **conditions)
