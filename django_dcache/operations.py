"""What each method of Django's cache API means for a fleet, written once for threads and for event loops.

An operation is a generator: it yields flows to be run, receives their results, and returns what Django's method does.
Here, and only here, a failure becomes a miss, False or an exception (`_failed`).
"""

from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, InvalidCacheKey

from . import large_values
from .commands import Value
from .errors import InvalidKey, NoReplica, UnreadableValue, ValueTooLarge
from .flows import Flow, Item, Load, Operation, Run
from .flows.add import add
from .flows.consensus import clear
from .flows.count import count
from .flows.count_agree import NotANumber
from .flows.load import fetch_or_load
from .flows.read import fetch
from .flows.write import Outcome, touch, write
from .large_values import Large
from .model import keys
from .model.view import View
from .runtime.fleet import Fleet
from .values import Codec
from .values.chunks import IN_CHUNKS

ABSENT = object()
OVER = 0.0
new_item = tuple.__new__


_loading: ContextVar[frozenset[str]] = ContextVar("dcache_loading", default=frozenset())
"""The made keys whose loaders this code runs in."""


class Operations(BaseCache):
    """What threads and event loops have in common."""

    fleet: Fleet
    _codec: Codec
    _item_bytes: int
    """The most that is stored in one item."""

    # Keys, values and timeouts

    def _made(self, key: Any, version: int | None) -> str:
        made_key = self.make_key(key, version)
        return made_key if isinstance(made_key, str) else str(made_key)

    def validate_key(self, key: str) -> None:
        """Raise InvalidCacheKey for a made key that memcached would refuse."""
        try:
            keys.name(key)
        except InvalidKey as error:
            raise InvalidCacheKey(str(error)) from None

    def _ttl(self, timeout: Any) -> float | None:
        """The TTL in seconds; None: for ever; OVER for a timeout that is over before it begins."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is not None and timeout <= 0:
            return OVER
        ttl: float | None = timeout
        return ttl

    def _item(self, made_key: str, value: Any, ttl: float | None) -> Item | Large | None:
        """What to store; None for a value that is too large, so that it removes what is there."""
        try:
            flags, data = self._codec.encode(made_key, value)
            if len(data) <= self._item_bytes:
                return new_item(Item, (flags, data, ttl))
            return large_values.large(self.fleet.options, flags, data, ttl)
        except ValueTooLarge:
            self.fleet.reports.value_too_large(value)
            return None

    def _decoded(self, made_key: str, flags: int, data: bytes) -> Any:
        """The value, or ABSENT if it can't be read. Raises InChunks."""
        try:
            return self._codec.decode(made_key, flags, data)
        except UnreadableValue as error:
            return self._unreadable(error, ABSENT)

    def _unreadable(self, error: UnreadableValue, otherwise: Any) -> Any:
        """Report a value that can't be read; `otherwise`, or the error by `on_error`."""
        self.fleet.reports.value_unreadable(error)
        if self._raises:
            raise error
        return otherwise

    def _decode(self, made_key: str, value: Value | None) -> Operation:
        """The value, put together if it lies in chunks, or ABSENT."""
        if value is None or value.data is None:
            return ABSENT
        flags, data = value.flags, value.data
        if flags & IN_CHUNKS:
            try:
                flags, data = yield from large_values.load(self.fleet, made_key, value)
            except UnreadableValue as error:
                self.fleet.reports.value_unreadable(error)
                return ABSENT
        return self._decoded(made_key, flags, data)

    # Failures

    @property
    def _raises(self) -> bool:
        return self.fleet.options.on_error == "raise"

    def _failed(self, keys: int) -> bool:
        """Count keys that could not be read or written; False, or NoReplica by `on_error`."""
        self.fleet.counters["failures"] += keys
        if self._raises:
            raise NoReplica(epoch=self.fleet.view.epoch)
        return False

    def _settled(self, run: Run, otherwise: Any) -> Operation:
        """What the flow returns; `otherwise` where no replica could answer for it."""
        try:
            return (yield run)
        except NoReplica:
            self._failed(1)
            return otherwise

    # Reading

    def _fetch(self, made_keys: Collection[str]) -> Generator[Run, Any, dict[str, Value]]:
        names: dict[str, bytes] = {}
        if self.fleet.transport.unreachable:
            # Django's `cache` sessions look for a free key ten thousand times: each look must cost next to nothing.
            self._failed(len(made_keys))
            return {}

        def named(view: View) -> Any:
            names.update((made_key, _name(view, made_key)) for made_key in made_keys)
            return fetch(view, names.values())

        found = yield Run(named)
        if found.unanswered:
            self._failed(found.unanswered)
        if found and self._doubted(len(found)):
            return {}
        return {made_key: found[name] for made_key, name in names.items() if name in found}

    def _doubted(self, found: int) -> bool:
        """Whether the values that were found have to be misses, because the state can't be proven."""
        fleet = self.fleet
        if fleet.options.on_unproven != "miss" or fleet.proven:
            return False
        fleet.counters["unproven_misses"] += found
        return True

    def _get(self, made_key: str, default: Any) -> Operation:
        found = yield from self._fetch((made_key,))
        value = yield from self._decode(made_key, found.get(made_key))
        return default if value is ABSENT else value

    def _get_many(self, made_keys: Mapping[str, Any]) -> Operation:
        """Values by what `made_keys` has for each made key."""
        found = yield from self._fetch(made_keys)
        values: dict[Any, Any] = {}
        for made_key, key in made_keys.items():
            value = yield from self._decode(made_key, found.get(made_key))
            if value is not ABSENT:
                values[key] = value
        return values

    def _get_or_set(
        self, made_key: str, default: Any, ttl: float | None, run: Callable[[Operation], Any], may_await: bool = False
    ) -> Operation:
        """`run`: how the caller runs operations."""
        loaded, young = ABSENT, False

        def keep(value: Any) -> Any:
            nonlocal loaded
            loaded = value
            item = None if ttl == OVER or young else self._item(made_key, value, ttl)
            return run(large_values.store(self.fleet, made_key, item)) if isinstance(item, Large) else item

        def load() -> Any:
            before = _loading.set(_loading.get() | {made_key})
            try:
                made = default() if callable(default) else default
            finally:
                _loading.reset(before)
            return _then(made, keep, made_key) if may_await and isawaitable(made) else keep(made)

        def named(view: View) -> Any:
            nonlocal young
            young = view.young(made_key)
            # A loader that asks for its own key must not wait for itself.
            wait = 0.0 if made_key in _loading.get() else self.fleet.options.load_wait
            return fetch_or_load(view, _name(view, made_key), load, wait)

        found = yield from self._settled(Run(named), None)
        if loaded is not ABSENT:
            return loaded
        if found is None:
            yield Run(_ask_application, (load,))
            return loaded
        doubted = self._doubted(1)
        value = ABSENT if doubted else (yield from self._decode(made_key, found))
        if value is not ABSENT:
            return value
        item = yield Run(_ask_application, (load,))
        if not doubted:  # There is something, but it can't be read: replace it.
            yield from self._write({made_key: item})
        return loaded

    # Writing

    def _write(self, changes: Mapping[str, Item | None]) -> Generator[Run, Any, dict[str, Outcome]]:
        """By made key. Where nothing may be stored yet, what is there is deleted."""
        names: dict[str, bytes] = {}

        def named(view: View) -> Any:
            names.update((made_key, _name(view, made_key)) for made_key in changes)
            return write(view, {names[key]: None if view.young(key) else item for key, item in changes.items()})

        outcomes: dict[bytes, Outcome] = yield Run(named)
        written = {made_key: outcomes[name] for made_key, name in names.items()}
        if refused := [item for key, item in changes.items() if item is not None and written[key].refused]:
            self.fleet.reports.values_refused([len(item.data) for item in refused])
        if failed := sum(outcome.failed(changes[made_key] is not None) for made_key, outcome in written.items()):
            self._failed(failed)
        return written

    def _set_many(self, items: Mapping[str, Any]) -> Operation:
        """The made keys of those that could not be stored."""
        if any(isinstance(item, Large) for item in items.values()):
            list(map(self.validate_key, items))
            outcomes = yield from large_values.replace(self.fleet, items, self._write)
        else:
            outcomes = yield from self._write(items)
        return [made_key for made_key in items if not outcomes[made_key].successful]

    def _remove_many(self, made_keys: Collection[str]) -> Operation:
        """The made keys that may still be read."""
        outcomes = yield from self._write(dict.fromkeys(made_keys))
        return [made_key for made_key in made_keys if not outcomes[made_key].acknowledged]

    def _set(self, made_key: str, item: Item | Large | None) -> Operation:
        return not (yield from self._set_many({made_key: item}))

    def _remove(self, made_key: str) -> Operation:
        """Whether there was something to delete."""
        return (yield from self._write({made_key: None}))[made_key].existed

    def _add(self, made_key: str, item: Item | Large | None) -> Operation:
        if isinstance(item, Large):
            self.validate_key(made_key)
            return (yield from large_values.add(self.fleet, made_key, item, self._add))

        def readable(there: Value) -> bool:
            return bool(there.flags & IN_CHUNKS) or self._codec.readable(made_key, there.flags, there.data)

        def named(view: View) -> Any:
            if not view.trusted:
                return _unproven(view)
            if item is None or view.young(made_key):
                return _refuse()
            return add(view, _name(view, made_key), item, readable)

        return (yield from self._settled(Run(named), False))

    def _touch(self, made_key: str, ttl: float | None) -> Operation:
        return (yield from self._settled(Run(lambda view: touch(view, _name(view, made_key), ttl)), False))

    def _incr(self, key: Any, made_key: str, delta: int) -> Operation:
        if not isinstance(delta, int):
            raise TypeError(f"delta is {type(delta).__name__}, want a whole number")
        try:
            run = Run(lambda view: count(view, _name(view, made_key), delta) if view.trusted else _unproven(view))
            number = yield from self._settled(run, None)
        except NotANumber as error:
            found = yield from self._decode(made_key, error.value)
            if type(found) is int:
                raise OverflowError(f"Key {key!r} holds {found}, which takes more than 64 bits") from None
            if found is not ABSENT:
                raise TypeError(f"Key {key!r} does not hold a whole number") from None
            number = None  # It can't be read.
        except OverflowError as error:
            raise OverflowError(f"Key {key!r}: {error}") from None
        if number is None:
            raise ValueError(f"Key {key!r} not found")
        return number

    def _incr_version(self, key: Any, delta: int, version: int | None) -> Operation:
        version = self.version if version is None else version
        made_key, target = self._made(key, version), self._made(key, version + delta)
        value = yield from self._get(made_key, ABSENT)
        if value is ABSENT:
            raise ValueError(f"Key {key!r} not found")
        # In one operation, so that the call lasts two timeouts at most.
        ttl, changes = self._ttl(DEFAULT_TIMEOUT), {made_key: None}
        yield from self._set_many(changes if ttl == OVER else {target: self._item(target, value, ttl)} | changes)
        return version + delta

    def _clear(self) -> Operation:
        return (yield Run(clear)) or self._failed(1)


def _name(view: View, made_key: str) -> bytes:
    """Under the very view that the flow runs by: a bump renames keys (docs/adr/0010)."""
    try:
        return view.name(made_key)
    except InvalidKey as error:
        raise InvalidCacheKey(str(error)) from None


def _refuse() -> Flow[bool]:
    yield from ()
    return False


def _unproven(view: View) -> Flow[Any]:
    """By a map that may be old no write is acknowledged."""
    yield from ()
    raise NoReplica("too few keepers answered to prove the fleet's state", epoch=view.epoch)


def _ask_application(view: View, load: Callable[[], Any]) -> Flow[Item | None]:
    item: Item | None
    item, _ = yield Load(load)
    return item


async def _then(made: Awaitable[Any], keep: Callable[[Any], Any], made_key: str) -> Any:
    before = _loading.set(_loading.get() | {made_key})
    try:
        kept = keep(await made)
        return await kept if isawaitable(kept) else kept
    finally:
        _loading.reset(before)
