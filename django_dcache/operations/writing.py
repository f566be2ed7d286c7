"""set, delete, add, touch, incr and clear."""

from collections.abc import Callable, Collection, Generator, Mapping
from functools import partial
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, default_key_func

from .. import large_values
from ..commands import Value
from ..errors import NoReplica
from ..flows import Flow, Item, Operation, Run
from ..flows.add import add
from ..flows.clear import clear
from ..flows.count import count
from ..flows.count_agree import NotANumber
from ..flows.drop import drop
from ..flows.write import Outcome, touch, write
from ..large_values import Large
from ..model.view import View
from ..neighbours import shared_nodes
from ..runtime import shortcut_chunks
from ..runtime.shortcut import NeedsFlow
from ..values.chunks import IN_CHUNKS
from ..values.conditions import CONDITIONAL, Conditional
from .common import ABSENT, OVER, name
from .reading import Reading

BEGINNINGS = 3
"""How often a number is begun that other callers begin and delete at the same time."""


class Writing(Reading):
    """Operations that change values."""

    def _write(
        self, changes: Mapping[str, Item | None], unneeded: Collection[bytes] = ()
    ) -> Generator[Run, Any, dict[str, Outcome]]:
        """By made key. Where nothing may be stored yet, what is there is deleted. `unneeded`: names that are deleted
        behind them; what becomes of these is of no account."""
        names: dict[str, bytes] = {}

        def named(view: View) -> Any:
            names.update((made_key, name(view, made_key)) for made_key in changes)
            items = {names[key]: None if view.young(key) else item for key, item in changes.items()}
            return write(view, items | dict.fromkeys(unneeded))

        def directly() -> dict[bytes, Outcome]:
            ((made_key, item),) = changes.items()
            if type(item) is not Item:
                raise NeedsFlow
            names[made_key] = shortcut_chunks.store_and_remove(self.fleet, made_key, item, unneeded)
            return {names[made_key]: Outcome(stored=True)}

        short_cut = directly if unneeded and len(changes) == 1 else None
        outcomes: dict[bytes, Outcome] = yield Run(named, short_cut=short_cut)
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

    def _count_removed(self, made_keys: Collection[str]) -> Operation:
        """How many of them there were."""
        outcomes = yield from self._write(dict.fromkeys(made_keys))
        return sum(outcome.existed for outcome in outcomes.values())

    def _set(self, made_key: str, item: Item | Large | None) -> Operation:
        return not (yield from self._set_many({made_key: item}))

    def _remove(self, made_key: str) -> Operation:
        """Whether there was something to delete, and no process will read it any more."""
        outcome = (yield from self._write({made_key: None}))[made_key]
        return outcome.existed and outcome.acknowledged

    def _add(self, made_key: str, item: Item | Large | None) -> Operation:
        if isinstance(item, Large):
            self.validate_key(made_key)
            return (yield from large_values.add(self.fleet, made_key, item, self._add))

        conditional = False

        def readable(there: Value) -> bool:
            nonlocal conditional
            conditional = bool(there.flags & CONDITIONAL)
            return (
                conditional or bool(there.flags & IN_CHUNKS) or self._codec.readable(made_key, there.flags, there.data)
            )

        def named(view: View) -> Any:
            if not view.trusted:
                return unproven(view)
            if item is None or view.young(made_key):
                return refuse()
            return add(view, name(view, made_key), item, readable)

        added = yield from self._settled(Run(named), False)
        if conditional and not added:
            found = (yield from self._fetch((made_key,))).get(made_key)
            if found and (yield from self._decode(made_key, found)) is ABSENT:
                yield from self._drop(made_key, found)
                added = yield from self._settled(Run(named), False)
        return added

    def _drop(self, made_key: str, value: Value) -> Operation:
        """Delete just this item, whose conditions do not hold, so that its place can be leased."""
        yield Run(lambda view: drop(view, name(view, made_key), value.data))

    def _touch(self, made_key: str, ttl: float | None) -> Operation:
        return (yield from self._settled(Run(lambda view: touch(view, name(view, made_key), ttl)), False))

    def _incr(self, key: Any, made_key: str, delta: int) -> Operation:
        if not isinstance(delta, int):
            raise TypeError(f"delta is {type(delta).__name__}, want a whole number")
        try:
            run = Run(lambda view: count(view, name(view, made_key), delta) if view.trusted else unproven(view))
            number = yield from self._settled(run, None)
        except NotANumber as error:
            found = yield from self._decode(made_key, error.value)
            if type(found) is int and error.value.flags & CONDITIONAL:
                raise TypeError(f"Key {key!r} has tags or may be stale: nodes can't count with it") from None
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

    def _incr_or_begin(self, key: Any, made_key: str, delta: int) -> Operation:
        """The same; where there is no number, one begins with `delta`, for ever."""
        for _ in range(BEGINNINGS):
            try:
                return (yield from self._incr(key, made_key, delta))
            except ValueError:
                if (yield from self._add(made_key, self._item(made_key, delta, None))):
                    return delta
        raise ValueError(f"Key {key!r} not found, and not to be made")

    def _incr_version(self, key: Any, delta: int, version: int | None) -> Operation:
        version = self.version if version is None else version
        made_key, target = self._made(key, version), self._made(key, version + delta)
        found, conditions = (yield from self._fetch((made_key,))).get(made_key), None
        try:
            value = (yield from self._whole(made_key, found)) if found else ABSENT
        except Conditional as conditional:
            value, conditions = (yield from self._open(made_key, conditional)), conditional.conditions
        if value is ABSENT:
            raise ValueError(f"Key {key!r} not found")
        # In one operation, so that the call lasts two timeouts at most.
        ttl, changes = self._ttl(DEFAULT_TIMEOUT), {made_key: None}
        item = self._item_on(conditions, target, value, ttl)
        yield from self._set_many(changes if ttl == OVER else {target: item} | changes)
        return version + delta

    def _clear(self, call: Callable[[Callable[[], Any]], Any]) -> Operation:
        """`call`: how the caller calls what waits for nodes."""
        look = partial(call, partial(shared_nodes, self.fleet))
        # Some engines can remove every version of this alias's keys, and leave the rest.
        alone = not (self.fleet.options.clear_nodes or self.fleet.view.coexists)
        ours = self.key_func is default_key_func and alone
        beginning = f"{self.key_prefix}:" if ours else ""
        return (yield Run(clear, (look, beginning.encode()))) or self._failed(1)


def refuse() -> Flow[bool]:
    yield from ()
    return False


def unproven(view: View) -> Flow[Any]:
    """By a map that may be old no write is acknowledged."""
    yield from ()
    raise NoReplica("too few keepers answered to prove the fleet's state", epoch=view.epoch)
