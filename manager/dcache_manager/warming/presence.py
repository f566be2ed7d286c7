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


class Presence(Enum):
    THERE = auto()
    LEASED = auto()
    """Missing, and a client is loading it, or died while it was."""
    MISSING = auto()


def look(cache: BaseCache, key: Any, version: int | None = None) -> Presence:
    """What a reader would find. On a cache that is not ours this is `has_key`. Raises InvalidKey."""
    if isinstance(cache, DistributedCache):
        return cache.fleet.run(_look, str(cache.make_key(key, version)))
    return Presence.THERE if cache.has_key(key, version) else Presence.MISSING


def _look(view: View, made_key: str) -> Flow[Presence]:
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
        return Presence.THERE
    return Presence.LEASED if found else Presence.MISSING
