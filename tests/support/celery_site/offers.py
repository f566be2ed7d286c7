"""What visitors of the site ask for, and its workers make anew."""

import os

from django_dcache.decorators import cached


@cached(0.2, stale=600, key="offer:{pk}", in_task=True)
def offer(pk: int) -> int:
    """The process that has loaded it."""
    return os.getpid()
