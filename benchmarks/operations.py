"""What is measured: operations of Django's cache API as calls without arguments, and how to tell that they worked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

SMALL = {"id": 4711, "name": "Espresso machine", "price": 129.0, "tags": ["kitchen", "coffee"], "stock": True}
"""A dict that pickles to about a hundred bytes."""

TTL = 3600

Call = Callable[[], Any]


@dataclass(frozen=True)
class Operation:
    """`prepare` stores what `bind`'s call will find; `right` is true of what the call returns."""

    name: str
    prepare: Callable[[Any], Any]
    bind: Callable[[Any], Call]
    right: Callable[[Any], bool] = lambda result: True


def _store(cache: Any) -> None:
    cache.set("hit", SMALL, TTL)


def _not_called() -> Any:
    raise AssertionError("a hit needs no loader")


def _many(purpose: str, size: int) -> dict[str, Any]:
    # Operations are measured in turn: none may disturb what another one left behind.
    return {f"{purpose}:{number}": SMALL for number in range(size)}


GET = Operation("get", _store, lambda cache: partial(cache.get, "hit"), SMALL.__eq__)
MISS = Operation("miss", lambda cache: None, lambda cache: partial(cache.get, "nothing"), lambda value: value is None)
SET = Operation("set", _store, lambda cache: partial(cache.set, "hit", SMALL, TTL))
INCR = Operation("incr", lambda cache: cache.set("number", 1, TTL), lambda cache: partial(cache.incr, "number"))
DELETE = Operation("delete", lambda cache: None, lambda cache: partial(cache.delete, "nothing"))
GET_OR_SET = Operation(
    "get_or_set hit", _store, lambda cache: partial(cache.get_or_set, "hit", _not_called, TTL), SMALL.__eq__
)
HAS_KEY = Operation("has_key", _store, lambda cache: partial(cache.has_key, "hit"), bool)
TOUCH = Operation("touch", _store, lambda cache: partial(cache.touch, "hit", TTL), bool)
ADD_EXISTING = Operation(
    "add, existing", _store, lambda cache: partial(cache.add, "hit", SMALL, TTL), lambda added: not added
)


def add_new() -> Operation:
    """Another key each time."""
    numbers = count()

    def bind(cache: Any) -> Call:
        add = cache.add
        return lambda: add(f"added:{next(numbers)}", SMALL, TTL)

    return Operation("add, new", lambda cache: None, bind, bool)


def get_many(size: int) -> Operation:
    values = _many("read", size)
    return Operation(
        f"get_many {size:,}",
        lambda cache: cache.set_many(values, TTL),
        lambda cache: partial(cache.get_many, list(values)),
        values.__eq__,
    )


def set_many(size: int) -> Operation:
    values = _many("write", size)
    return Operation(
        f"set_many {size:,}",
        lambda cache: None,
        lambda cache: partial(cache.set_many, values, TTL),
        lambda failed: not failed,
    )


def delete_many(size: int) -> Operation:
    keys = list(_many("gone", size))
    return Operation(f"delete_many {size:,}", lambda cache: None, lambda cache: partial(cache.delete_many, keys))


SIZES = {"100 B": 100, "1 KB": 1024, "64 KB": 65536}


def get_sized(label: str) -> Operation:
    key, data = f"sized:{SIZES[label]}", bytes(SIZES[label])
    return Operation(
        f"get {label}",
        lambda cache: cache.set(key, data, TTL),
        lambda cache: partial(cache.get, key),
        data.__eq__,
    )


def set_sized(label: str) -> Operation:
    key, data = f"sized:{SIZES[label]}", bytes(SIZES[label])
    return Operation(f"set {label}", lambda cache: None, lambda cache: partial(cache.set, key, data, TTL))


ONE_KEY = (GET, MISS, SET, INCR, DELETE, GET_OR_SET, HAS_KEY, add_new(), ADD_EXISTING, TOUCH, get_sized("64 KB"))
MANY_KEYS = (
    *map(get_many, (1, 10, 100)),
    *map(set_many, (1, 100)),
    *map(delete_many, (100, 1000)),
)
TABLE = (GET, MISS, SET, INCR, DELETE, get_many(100), set_many(100), delete_many(100), get_sized("64 KB"))
"""What is measured wherever not every operation is."""
