"""What each method of Django's cache API means for a fleet, written once for threads and for event loops.

An operation is a generator: it yields flows to be run, receives their results, and returns what Django's method does.
Here, and only here, a failure becomes a miss.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from inspect import isawaitable
from typing import Any, NamedTuple

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, InvalidCacheKey

from .commands import Value
from .errors import InvalidKey, NoReplica, UnreadableValue, ValueTooLarge
from .flows import Flow, Item, Load
from .flows.add import add
from .flows.consensus import clear
from .flows.count import NotANumber, count
from .flows.read import fetch, fetch_or_load
from .flows.write import Outcome, touch, write
from .model import keys
from .model.view import View
from .runtime.fleet import Fleet
from .values import Codec

ABSENT = object()
OVER = 0.0


class Run(NamedTuple):
    """A flow to be run, with its arguments."""

    flow: Any
    arguments: tuple[Any, ...] = ()
    deadline: float | None = None
    """Where a part of the operation's time is used up (monotonic)."""


Operation = Generator[Run, Any, Any]


class Operations(BaseCache):
    """Of whom it needs the fleet."""

    fleet: Fleet
    _codec: Codec

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

    def _item(self, made_key: str, value: Any, ttl: float | None) -> Item | None:
        """What to store; None for a value that is too large, so that it removes what is there."""
        try:
            flags, data = self._codec.encode(made_key, value)
        except ValueTooLarge:
            self.fleet.counters["too_large"] += 1
            return None
        return Item(flags, data, ttl)

    def _decode(self, made_key: str, value: Value | None) -> Any:
        if value is None or value.data is None:
            return ABSENT
        try:
            return self._codec.decode(made_key, value.flags, value.data)
        except UnreadableValue:
            self.fleet.counters["unreadable"] += 1
            if self._raises:
                raise
            return ABSENT

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

    # Reading

    def _fetch(
        self, made_keys: Iterable[str], value: bool = True, deadline: float | None = None
    ) -> Generator[Run, Any, dict[str, Value]]:
        names: dict[str, bytes] = {}

        def named(view: View) -> Any:
            names.update((made_key, _name(view, made_key)) for made_key in made_keys)
            return fetch(view, names.values(), value)

        found = yield Run(named, deadline=deadline)
        if found.unanswered:
            self._failed(found.unanswered)
        if found and self._doubted(len(found)):
            return {}
        return {made_key: found[name] for made_key, name in names.items() if name in found}

    def _doubted(self, found: int) -> bool:
        """Whether so many values that were found have to be misses, because the state can't be proven."""
        fleet = self.fleet
        if fleet.options.on_unproven != "miss" or fleet.proven:
            return False
        fleet.counters["unproven_misses"] += found
        return True

    def _get(self, key: Any, default: Any, version: int | None, deadline: float | None = None) -> Operation:
        made_key = self._made(key, version)
        found = yield from self._fetch((made_key,), deadline=deadline)
        value = self._decode(made_key, found.get(made_key))
        return default if value is ABSENT else value

    def _get_many(self, keys: Iterable[Any], version: int | None, deadline: float | None = None) -> Operation:
        made = {key: self._made(key, version) for key in keys}
        found = (yield from self._fetch(made.values(), deadline=deadline)) if made else {}
        values = {key: self._decode(made_key, found[made_key]) for key, made_key in made.items() if made_key in found}
        return {key: value for key, value in values.items() if value is not ABSENT}

    def _has_key(self, key: Any, version: int | None) -> Operation:
        return bool((yield from self._fetch((self._made(key, version),), False)))

    def _get_or_set(
        self, key: Any, default: Any, timeout: Any, version: int | None, may_await: bool = False
    ) -> Operation:
        made_key, ttl = self._made(key, version), self._ttl(timeout)
        loaded, young = ABSENT, False

        def keep(value: Any) -> Item | None:
            nonlocal loaded
            loaded = value
            return None if ttl == OVER or young else self._item(made_key, value, ttl)

        def load() -> Any:
            made = default() if callable(default) else default
            return _then(made, keep) if may_await and isawaitable(made) else keep(made)

        def named(view: View) -> Any:
            nonlocal young
            young = view.young(made_key)
            return fetch_or_load(view, _name(view, made_key), load)

        found = yield Run(named)
        if loaded is not ABSENT:
            return loaded
        doubted = found and self._doubted(1)
        value = ABSENT if doubted else self._decode(made_key, found)
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
        failed = sum(outcome.broken for outcome in outcomes.values())
        if failed:
            self._failed(failed)
        return {made_key: outcomes[name] for made_key, name in names.items()}

    def _set(self, key: Any, value: Any, timeout: Any, version: int | None) -> Operation:
        made_key, ttl = self._made(key, version), self._ttl(timeout)
        if ttl == OVER:
            return (yield from self._write({made_key: None}))[made_key].acknowledged
        return (yield from self._write({made_key: self._item(made_key, value, ttl)}))[made_key].successful

    def _set_many(self, data: Mapping[Any, Any], timeout: Any, version: int | None) -> Operation:
        made, ttl = {key: self._made(key, version) for key in data}, self._ttl(timeout)
        if not made:
            return []
        if ttl == OVER:
            removed = yield from self._write(dict.fromkeys(made.values()))
            return [key for key, made_key in made.items() if not removed[made_key].acknowledged]
        outcomes = yield from self._write({made[key]: self._item(made[key], value, ttl) for key, value in data.items()})
        return [key for key, made_key in made.items() if not outcomes[made_key].successful]

    def _add(self, key: Any, value: Any, timeout: Any, version: int | None) -> Operation:
        made_key, ttl = self._made(key, version), self._ttl(timeout)
        if ttl == OVER:
            return not (yield from self._fetch((made_key,), False))
        item = self._item(made_key, value, ttl)

        def named(view: View) -> Any:
            if item is None or not view.trusted or view.young(made_key):
                return _refuse()
            return add(view, _name(view, made_key), item)

        return (yield Run(named))

    def _touch(self, key: Any, timeout: Any, version: int | None) -> Operation:
        made_key, ttl = self._made(key, version), self._ttl(timeout)
        if ttl == OVER:
            return (yield from self._write({made_key: None}))[made_key].existed
        return (yield Run(lambda view: touch(view, _name(view, made_key), ttl)))

    def _delete(self, key: Any, version: int | None) -> Operation:
        made_key = self._made(key, version)
        return (yield from self._write({made_key: None}))[made_key].existed

    def _delete_many(self, keys: Iterable[Any], version: int | None) -> Operation:
        made_keys = [self._made(key, version) for key in keys]
        if made_keys:
            yield from self._write(dict.fromkeys(made_keys))

    def _incr(self, key: Any, delta: int, version: int | None) -> Operation:
        made_key = self._made(key, version)
        if not isinstance(delta, int):
            raise TypeError(f"delta is {type(delta).__name__}, want a whole number")
        try:
            number = yield Run(lambda view: count(view, _name(view, made_key), delta) if view.trusted else _nothing())
        except NotANumber:
            raise TypeError(f"Key {key!r} does not hold a whole number") from None
        if number is None:
            raise ValueError(f"Key {key!r} not found")
        return number

    def _incr_version(self, key: Any, delta: int, version: int | None) -> Operation:
        version = self.version if version is None else version
        value = yield from self._get(key, ABSENT, version)
        if value is ABSENT:
            raise ValueError(f"Key {key!r} not found")
        yield from self._set(key, value, DEFAULT_TIMEOUT, version + delta)
        yield from self._delete(key, version)
        return version + delta

    def _clear(self) -> Operation:
        return (yield Run(clear))


def _name(view: View, made_key: str) -> bytes:
    """Under the very view that the flow runs by: a bump renames keys (docs/adr/0010)."""
    try:
        return view.name(made_key)
    except InvalidKey as error:
        raise InvalidCacheKey(str(error)) from None


def _refuse() -> Flow[bool]:
    yield from ()
    return False


def _nothing() -> Flow[None]:
    yield from ()


def _ask_application(view: View, load: Callable[[], Any]) -> Flow[Item | None]:
    item: Item | None
    item, _ = yield Load(load)
    return item


async def _then(made: Awaitable[Any], keep: Callable[[Any], Item | None]) -> Item | None:
    return keep(await made)
