"""What all operations have in common: keys, values and timeouts, and what becomes of a failure."""

from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, InvalidCacheKey

from .. import large_values
from ..errors import InvalidKey, NoReplica, UnreadableValue, ValueTooLarge
from ..flows import Item, Operation, Run
from ..large_values import Large
from ..model import keys
from ..model.view import View
from ..runtime.fleet import Fleet
from ..values import Codec
from ..values.conditions import Conditions
from ..values.plain import Encode

ABSENT = object()
OVER = 0.0
new_item = tuple.__new__


class Common(BaseCache):
    """An alias on a fleet."""

    fleet: Fleet
    _codec: Codec
    _item_bytes: int
    """The most that is stored in one item."""

    # Keys, values and timeouts

    def _made(self, key: Any, version: int | None) -> str:
        made_key = self.make_key(key, version)
        return made_key if isinstance(made_key, str) else str(made_key)

    def validate_key(self, key: str) -> None:
        """Raise InvalidCacheKey for a made key that a node would refuse."""
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

    def _item(self, made_key: str, value: Any, ttl: float | None, encode: Encode | None = None) -> Item | Large | None:
        """What to store; None for a value that is too large, so that it removes what is there."""
        try:
            flags, data = (encode or self._codec.encode)(made_key, value)
            if len(data) <= self._item_bytes:
                return new_item(Item, (flags, data, ttl))
            if self.fleet.view.coexists and len(data) <= self.fleet.options.max_value:
                return Item(flags, data, ttl)  # In one piece, which is all that a classic client can read.
            return large_values.large(self.fleet.options, flags, data, ttl)
        except ValueTooLarge:
            self.fleet.reports.value_too_large(value)
            return None

    def _item_on(
        self, conditions: Conditions | None, made_key: str, value: Any, ttl: float | None
    ) -> Item | Large | None:
        """The same, on conditions if there are any: with those nothing is stored while classic clients read it."""
        if conditions is None:
            return self._item(made_key, value, ttl)
        if self.fleet.view.coexists:
            return None
        return self._item(made_key, (value, conditions), ttl, self._codec.encode_conditional)

    def _decoded(self, made_key: str, flags: int, data: bytes) -> Any:
        """The value, or ABSENT if it can't be read. Raises InChunks, Conditional."""
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


def name(view: View, made_key: str) -> bytes:
    """Under the very view that the flow runs by: a bump renames keys (docs/adr/0010)."""
    try:
        return view.name(made_key)
    except InvalidKey as error:
        raise InvalidCacheKey(str(error)) from None
