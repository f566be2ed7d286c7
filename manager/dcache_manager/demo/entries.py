"""Entries beside the shop's own, so that there is more to move. Each differs from all others, and from its parts."""

import time
from collections.abc import Callable, Sequence

from django_dcache.errors import DCacheError
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.runtime.fleet import Fleet
from django_dcache.values.plain import BYTES

COUNT = 20_000
SMALLEST, LARGEST = 50, 20_000  # bytes
BATCH = 100
ATTEMPTS = 6
"""On a machine that is short of breath an operation may miss its deadline, and its slot is closed for a while then."""


class NotStored(DCacheError):
    """The nodes did not take the entries of the demo in time; this machine seems to be very busy."""


def store(fleet: Fleet) -> None:
    """Store every entry for an hour. Raises NotStored."""

    def failed(numbers: Sequence[int]) -> set[int]:
        items = {_name(number): Item(BYTES, value(number), 3600) for number in numbers}
        outcomes = fleet.run(write, items)
        return {number for number in numbers if not outcomes[_name(number)].successful}

    if _repeat(fleet, failed):
        raise NotStored


def lost(fleet: Fleet) -> int:
    """How many entries are not there any more, or not what they were."""

    def missing(numbers: Sequence[int]) -> set[int]:
        found = fleet.run(fetch, [_name(number) for number in numbers])
        return {n for n in numbers if _name(n) not in found or found[_name(n)].data != value(n)}

    return len(_repeat(fleet, missing))


def _repeat(fleet: Fleet, attempt: Callable[[Sequence[int]], set[int]]) -> set[int]:
    """The entries for which it never worked."""
    pending = set(range(COUNT))
    for _ in range(ATTEMPTS):
        numbers = sorted(pending)
        batches = [numbers[first : first + BATCH] for first in range(0, len(numbers), BATCH)]
        pending = set().union(*map(attempt, batches))
        if not pending:
            break
        time.sleep(fleet.view.hold)
    return pending


def value(number: int) -> bytes:
    """What entry `number` holds: 50 bytes to 20 kB, most of them small."""
    # The golden ratio scatters neighbours evenly over 0 to 1.
    size = SMALLEST * (LARGEST / SMALLEST) ** (number * 0.6180339887 % 1)
    text = b"entry %d of the demo. " % number
    return (text * (int(size) // len(text) + 1))[: int(size)]


def _name(number: int) -> bytes:
    return b"demo:entry:%d" % number
