"""Every method of the cache, with what it answers where nothing is wrong, and where its keys can't be answered for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Keys(NamedTuple):
    """The keys of one call. The first copy of each is on the node at fault, but for those that are `spared`."""

    present: str
    absent: str
    struck: tuple[str, ...]
    spared: tuple[str, ...]

    @property
    def several(self) -> tuple[str, ...]:
        return self.struck + self.spared


@dataclass(frozen=True)
class Case:
    """One call. `answer`: what it returns where nothing is wrong; `failing`: what it returns, or raises, with
    on_error="miss" where the keys that are struck can't be answered for. Both may be functions of the keys."""

    label: str
    method: str
    arguments: Callable[[Keys], tuple[Any, ...]]
    answer: Any
    failing: Any
    reads_first: bool = False
    """Whether its first round only reads: a reply that is lost there is asked for again."""

    def __str__(self) -> str:
        return self.label


def _sevens(chosen: str) -> Callable[[Keys], Any]:
    return lambda k: dict.fromkeys(getattr(k, chosen), 7)


def _present(*arguments: Any) -> Callable[[Keys], tuple[Any, ...]]:
    return lambda k: (k.present, *arguments)


CASES = [
    Case("get", "get", _present("default"), 7, "default", reads_first=True),
    Case("get, miss", "get", lambda k: (k.absent, "default"), "default", "default", reads_first=True),
    Case("has_key", "has_key", _present(), True, False, reads_first=True),
    Case("get_many", "get_many", lambda k: (k.several,), _sevens("several"), _sevens("spared"), reads_first=True),
    Case("get_or_set", "get_or_set", _present(5), 7, 5, reads_first=True),
    Case("get_or_set, miss", "get_or_set", lambda k: (k.absent, 5), 5, 5, reads_first=True),
    Case("set", "set", _present(8), True, False),
    Case("set_many", "set_many", lambda k: (dict.fromkeys(k.several, 9),), [], lambda k: [*k.struck]),
    Case("add", "add", lambda k: (k.absent, 1), True, False),
    Case("add, present", "add", _present(1), False, False),
    Case("touch", "touch", _present(60), True, False),
    Case("delete", "delete", _present(), True, False),
    Case("delete_many", "delete_many", lambda k: (k.several,), None, None),
    Case("incr", "incr", _present(), 8, ValueError),
    Case("decr", "decr", _present(), 6, ValueError, reads_first=True),
    Case("incr_version", "incr_version", _present(), 2, ValueError, reads_first=True),
    Case("clear", "clear", lambda k: (), True, False),
]
