"""Changes that depend on what is there: compare and swap, and `set` with nx, xx or get."""

from collections.abc import Callable
from typing import Any

from ..commands import Value
from ..errors import UnreadableValue
from ..flows import Item, Operation, Run
from ..flows.swap import swap
from ..large_values import Large
from ..model.view import View
from ..values.chunks import InChunks
from ..values.conditions import Conditional
from .common import ABSENT, OVER, name
from .writing import Writing, refuse, unproven

TRIES = 20
"""How often a `set` begins again because the value was changed meanwhile."""


class Swapping(Writing):
    """Values in chunks and values with tags are equal to none, and can be replaced."""

    def _swap(self, made_key: str, old: Any, new: Any, ttl: float | None) -> Operation:
        item = self._swapped_in(made_key, new, ttl)
        return (yield from self._swap_where(made_key, self._equal_to(made_key, old), item))

    def _swap_where(self, made_key: str, expected: Callable[[Value], bool], item: Item | None) -> Operation:
        def named(view: View) -> Any:
            if not view.trusted:
                return unproven(view)
            if item is not None and view.young(made_key):
                return refuse()
            return swap(view, name(view, made_key), expected, item)

        return (yield from self._settled(Run(named), False))

    def _swapped_in(self, made_key: str, value: Any, ttl: float | None) -> Item | None:
        item = None if ttl == OVER else self._item(made_key, value, ttl)
        if isinstance(item, Large) or (item is None and ttl != OVER):
            raise ValueError("The value is too large for one item, so it can't be stored on a condition")
        return item

    def _equal_to(self, made_key: str, old: Any) -> Callable[[Value], bool]:
        def equal(there: Value) -> bool:
            try:
                return bool(self._codec.decode(made_key, there.flags, there.data or b"") == old)
            except (UnreadableValue, InChunks, Conditional):
                return False

        return equal

    def _set_if(self, made_key: str, value: Any, ttl: float | None, nx: bool, xx: bool, get: bool) -> Operation:
        """What `set` returns."""
        if nx and xx:
            raise ValueError("nx wants no value to be there, and xx wants one: give one of them")
        item, there = self._swapped_in(made_key, value, ttl), list[Value]()

        def seen(value: Value) -> bool:
            there[:] = [value]
            return True

        for _ in range(TRIES):
            if not nx:
                there.clear()
                if (yield from self._swap_where(made_key, seen, item)):
                    return (yield from self._told(made_key, there[0])) if get else True
                if not there and xx:
                    break
            if not there:
                added = (
                    (yield from self._get(made_key, ABSENT)) is ABSENT
                    if item is None
                    else (yield from self._add(made_key, item))
                )
                if added:
                    return None if get else True
                if nx:
                    return (yield from self._get(made_key, None)) if get else False
        return None if get else False

    def _told(self, made_key: str, before: Value) -> Operation:
        value = yield from self._decode(made_key, before)
        return None if value is ABSENT else value
