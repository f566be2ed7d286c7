"""Keys that a process sees once, out of a million, and keys that are as hot as a site's.

What is remembered about a key by the process that reads it gains nothing here. The values are stored by other
processes before the clock starts.
"""

import os
from collections.abc import Iterator
from itertools import cycle, islice
from random import Random
from typing import Any

from .backends import Backend, Servers
from .operations import SMALL, TTL, Operation

KEYS = 1_000_000
BATCH = 1000
ZIPF_EXPONENT = 0.99
ZIPF_DRAWS = 200_000


def prepare(backends: list[Backend], servers: Servers, keys: int) -> None:
    """Store every key for every backend, each in a process of its own. Raises SystemExit if one could not."""
    for backend in backends:
        child = os.fork()
        if not child:
            failed = 1
            try:
                cache = backend.make(servers)
                for first in range(0, keys, BATCH):
                    numbers = range(first, min(first + BATCH, keys))
                    cache.set_many({f"item:{number}": SMALL for number in numbers}, TTL)
                failed = 0
            finally:
                os._exit(failed)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{backend.name}: the keys could not be stored")


def operations(keys: int) -> list[Operation]:
    """Get, set and get_many(100), each of keys that no call before it had; and get by Zipf's law."""
    chance = Random(1)
    shuffled = [f"item:{number}" for number in range(keys)]
    chance.shuffle(shuffled)
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, keys + 1)]
    drawn = chance.choices(shuffled, weights, k=ZIPF_DRAWS)

    def names() -> Iterator[str]:
        return cycle(shuffled)

    def get(cache: Any) -> Any:
        next_name = names().__next__
        return lambda: cache.get(next_name())

    def set_(cache: Any) -> Any:
        next_name = names().__next__
        return lambda: cache.set(next_name(), SMALL, TTL)

    def get_many(cache: Any) -> Any:
        all_names = names()
        return lambda: cache.get_many(list(islice(all_names, 100)))

    def zipf(cache: Any) -> Any:
        next_name = cycle(drawn).__next__
        return lambda: cache.get(next_name())

    def nothing(cache: Any) -> None:
        """They were stored before."""

    return [
        Operation("get", nothing, get, SMALL.__eq__),
        Operation("set", nothing, set_, lambda stored: stored is not False),
        Operation("get_many 100", nothing, get_many, lambda found: len(found) == 100),
        Operation("get, by Zipf's law", nothing, zipf, SMALL.__eq__),
    ]
