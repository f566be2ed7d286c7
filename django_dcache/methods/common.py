"""The keys of one call: Django's by what they are called in the cache, in parts that one operation has time for."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, TypeVar

from django.core.cache.backends.base import default_key_func

from ..commands import Value as Stored
from ..errors import UnreadableValue
from ..flows import Item, Operation
from ..large_values import Large
from ..model.keys import plainly_legal
from ..operations import ABSENT, Operations
from ..values.plain import Decode

KEYS_OF_AN_OPERATION = 500
"""The keys of one call that have the time of one operation: a hundredth of it is enough for them."""
KEYS_OF_A_DELETION = 2 * KEYS_OF_AN_OPERATION
"""No value is on its way: the same time is enough for as many again."""
Value = TypeVar("Value")
Items = dict[str, Item | Large | None]
Tags = Iterable[str] | Mapping[str, bytes]
"""Tags of a value, or what `tag_versions` returned for them before the value was loaded: the safe way."""
Found = Mapping[str, tuple[int, bytes]]
"""Flags and bytes, by made key."""


class ManyKeys(Operations):
    """What methods for threads and for event loops do with many keys."""

    _decode_bytes: Decode

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

    def _values(self, found: Found, made_keys: Mapping[str, Any]) -> dict[Any, Any]:
        """By Django's keys. Raises InChunks, Conditional."""
        decode = self._decode_bytes
        try:
            return {made_keys[made_key]: decode(made_key, flags, data) for made_key, (flags, data) in found.items()}
        except UnreadableValue:  # One by one, to see which.
            values = ((made_keys[made_key], self._decoded(made_key, *data)) for made_key, data in found.items())
            return {key: value for key, value in values if value is not ABSENT}

    def _values_of(self, found: Found, made_keys: Mapping[str, Any], fresh: bool = False) -> Operation:
        """The same where some of them are conditional."""
        stored = {made_key: Stored(data, flags) for made_key, (flags, data) in found.items()}
        values = yield from self._decode_many(stored, fresh)
        return {made_keys[made_key]: value for made_key, value in values.items()}

    def _parts(self, items: Mapping[str, Value], most: int = KEYS_OF_AN_OPERATION) -> Iterable[Mapping[str, Value]]:
        """As few at a time as have the time that one operation has. None is sent unless every key is legal."""
        if len(items) <= most:
            return (items,) if items else ()
        for made_key in () if plainly_legal(items) else items:
            self.validate_key(made_key)
        pairs = iter(items.items())
        return iter(lambda: dict(islice(pairs, most)), {})

    def dropping(self, made_keys: Collection[str] | None) -> AbstractContextManager[None]:
        """While these are written, or all are removed: nothing is kept of them in this process."""
        return nullcontext()

    def _items(self, data: Mapping[Any, Any], made_keys: Mapping[str, Any], ttl: float | None) -> Items:
        return {made_key: self._item(made_key, data[key], ttl) for made_key, key in made_keys.items()}
