"""Looking whether a key is in the cache without using it.

A warmer that reads what it fills would make every key hot, and keep its own from being evicted in place of visitors'.
"""

from enum import Enum, auto
from typing import Any

from django.core.cache import BaseCache

from django_dcache.backend import DistributedCache
from django_dcache.commands import Get, Value
from django_dcache.flows import Flow
from django_dcache.model.view import Standing, View


class Sight(Enum):
    THERE = auto()
    LEASED = auto()
    """Missing, and somebody is loading it, or died while he was."""
    MISSING = auto()


def look(cache: BaseCache, key: Any, version: int | None = None) -> Sight:
    """What a reader would find. On a cache that is not ours this is `has_key`. Raises InvalidKey."""
    if isinstance(cache, DistributedCache):
        return cache.fleet.run(_look, str(cache.make_key(key, version)))
    return Sight.THERE if cache.has_key(key, version) else Sight.MISSING


def _look(view: View, made_key: str) -> Flow[Sight]:
    name = view.name(made_key)
    route, slot = view.place(name)
    asks = {
        node: [Get(name, view.generation(node, slot), value=False, peek=True)]
        for node in {*route.read, *route.fill}
        if view.standing(node, slot) in (Standing.OPEN, Standing.CLOSED)
    }
    answers = (yield asks) if asks else {}
    found = [reply for (reply,) in answers.values() if isinstance(reply, Value)]
    if any(not reply.stub for reply in found):
        return Sight.THERE
    return Sight.LEASED if found else Sight.MISSING
