"""Following work that runs elsewhere, until it is over: the one loop for jobs, resizes and background runs."""

import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import TimedOut

POLL_SECONDS = 0.25
TEND_SECONDS = 5.0
"""Between two looks whether a job that is watched has lost its worker."""
NO_WORKER_SECONDS = 10.0
"""After which the operator should know that no worker has begun."""
Seen = TypeVar("Seen")


def follow(
    look: Callable[[], Seen | None],
    is_over: Callable[[], bool],
    show: Callable[[Seen], None],
    seconds: float | None = None,
    what: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show what each `look` sees until `is_over`. Time begins with the first look that sees something.

    Raises TimedOut about `what` after `seconds`.
    """
    until = None
    while True:
        seen = look()
        if is_over():
            return
        if seen is not None:
            show(seen)
            if until is None and seconds is not None:
                until = time.monotonic() + seconds
        if until is not None and time.monotonic() >= until:
            raise TimedOut(what)
        sleep(POLL_SECONDS)
