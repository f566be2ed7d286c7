"""get and get_many."""

from collections.abc import Collection, Generator, Mapping
from typing import Any

from .. import large_values
from ..commands import Value
from ..errors import NoReplica, UnreadableValue
from ..flows import Operation, Run
from ..flows.read import fetch
from ..model.view import View
from ..values.chunks import InChunks
from ..values.conditions import Conditional
from .common import ABSENT, name
from .tags import Tags


class Reading(Tags):
    """Operations that change nothing."""

    def _fetch(self, made_keys: Collection[str]) -> Generator[Run, Any, dict[str, Value | None]]:
        """What there is of each key, None for nothing; without the keys of which nothing is known."""
        names: dict[str, bytes] = {}
        if self.fleet.transport.unreachable:
            # Django's `cache` sessions look for a free key ten thousand times: each look must cost next to nothing.
            self._failed(len(made_keys))
            return {}

        def named(view: View) -> Any:
            names.update((made_key, name(view, made_key)) for made_key in made_keys)
            return fetch(view, names.values())

        found = yield Run(named)
        if found.unanswered:
            self._failed(found.unanswered)
        if found and self._doubted(len(found)):
            return {}
        if found.unanswered:
            return {made_key: found[name] for made_key, name in names.items() if name in found}
        return {made_key: found.get(name) for made_key, name in names.items()}

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
        values = yield from self._decode_many(found)
        return {made_keys[made_key]: value for made_key, value in values.items()}

    def _read(self, made_keys: Collection[str]) -> Operation:
        """Flags and data of each key, None for nothing; without the keys of which nothing is known."""
        try:
            found = yield from self._fetch(made_keys)
        except NoReplica:
            return {}  # The call that reads them one by one says so.
        return {made_key: value and (value.flags, value.data) for made_key, value in found.items()}

    # From what was found to values

    def _decode(self, made_key: str, value: Value | None) -> Operation:
        """The value, or ABSENT."""
        values = yield from self._decode_many({made_key: value} if value else {})
        return values.get(made_key, ABSENT)

    def _decode_many(self, found: Mapping[str, Value | None], fresh: bool = False) -> Operation:
        """Those that can be read and whose conditions hold, by made key. `fresh`: as the nodes say."""
        values: dict[str, Any] = {}
        conditional: dict[str, Conditional] = {}
        for made_key, value in found.items():
            if value is None:
                continue
            try:
                values[made_key] = yield from self._whole(made_key, value)
            except Conditional as held:
                conditional[made_key] = held
        values |= yield from self._open_many(conditional, fresh)
        return {made_key: value for made_key, value in values.items() if value is not ABSENT}

    def _special(
        self, made_key: str, flags: int, data: bytes, special: Conditional | InChunks, fresh: bool = False
    ) -> Operation:
        """The value of what decoding found to be `special`, or ABSENT."""
        if isinstance(special, Conditional):
            return (yield from self._open(made_key, special, fresh))
        return (yield from self._decode_many({made_key: Value(data, flags)}, fresh)).get(made_key, ABSENT)

    def _whole(self, made_key: str, value: Value) -> Operation:
        """The value, put together if it lies in chunks, or ABSENT. Raises Conditional."""
        if value.data is None:
            return ABSENT
        try:
            return self._decoded(made_key, value.flags, value.data)
        except InChunks:
            pass
        try:
            flags, data = yield from large_values.load(self.fleet, made_key, value)
        except UnreadableValue as error:
            self.fleet.reports.value_unreadable(error)
            return ABSENT
        return self._decoded(made_key, flags, data)
