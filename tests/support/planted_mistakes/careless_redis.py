"""Mistakes with servers that keep their data, run scripts, and answer in order."""

from collections.abc import Callable, Sequence
from typing import Any

from django_dcache.engines.redis import scripts
from django_dcache.engines.redis.hot import HOT
from django_dcache.engines.shortcut import Found

from .registry import IN_BULK, mistake
from .seams import replace

BACK = ("old-snapshot", "journal", "promoted-replica", "two-old-snapshots")
"""Faults by which a node comes back with the past."""


@mistake(*BACK, engine="redis")
def no_incarnation_check() -> None:
    """A node that comes back is used as it is."""

    def feed(original: Callable[..., bool]) -> Callable[..., bool]:
        def heard(greeting: Any, chunk: bytes) -> bool:
            complete = original(greeting, chunk)
            greeting.returned = ""
            return complete

        return heard

    replace("django_dcache.engines.redis.greeting:Greeting.feed", feed)


@mistake("old-snapshot", "promoted-replica", engine="redis", **IN_BULK | {"rate": 150.0})
def marked_as_it_is() -> None:
    """A node that has come back gets its mark, and its slots stay as they were."""
    replace("django_dcache.flows.returned:_renewed", lambda _: lambda state, node, incarnation: state)


@mistake("slow", engine="redis", slow_loads=0.2, zipf=1.0, weights={"load": 40, "commit": 15})
def unchecked_token() -> None:
    """The server stores under a lease whatever was written meanwhile."""
    replace("django_dcache.engines.redis.scripts:STORE", lambda script: script.removeprefix(scripts.SAME))


@mistake("kill", engine="redis", weights={"get_many": 40})
def shifted_answers() -> None:
    """Of many answers those that are misses are passed over, and the next value is taken for that key."""
    original = HOT.answers

    def answers(
        data: bytes, made_keys: Sequence[str], number: int, first: int, found: Found, missed: list[str]
    ) -> tuple[int, int]:
        position = original(data, made_keys, number, first, found, missed)
        if missed:
            values = [*found.values()]
            found.clear()
            found.update(zip(made_keys, values, strict=False))
        return position

    object.__setattr__(HOT, "answers", answers)
