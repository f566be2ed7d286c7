"""Caches, each used as by a process of its own, all the time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django_dcache.backend import DistributedCache


@contextmanager
def working(
    caches: Sequence[DistributedCache], work: Callable[[DistributedCache, int], object], every: float
) -> Iterator[None]:
    """Call `work(cache, number)` again and again in a thread for each cache, `every` seconds apart; close them then."""
    stop = threading.Event()

    def run(number: int) -> None:
        while not stop.wait(every):
            work(caches[number], number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(caches))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for cache in caches:
            cache.fleet.close()
