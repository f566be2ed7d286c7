"""A worker that looks into the log by itself, so that a region follows also while its broker is away.

app.steps["worker"].add(dcache_manager.follower.Follower)
"""

import logging
import random
import threading
from typing import Any

from celery import bootsteps
from django.db import connections

from ..settings import regions

log = logging.getLogger("dcache_manager")

LOOK_SECONDS = 1.0
"""Between two looks into the log."""
PURGE_SECONDS = 0.4
"""Between two looks for edges that are to be purged: where all children of the workers are at jobs, each of which takes
its turn of many seconds, this is what purges them."""


class Follower(bootsteps.StartStopStep):
    """A thread of the worker's first process, from its start to its end, whether it reaches a broker or not."""

    def __init__(self, worker: Any, **options: Any):
        super().__init__(worker, **options)
        self._over = threading.Event()

    def start(self, worker: Any) -> None:
        threading.Thread(target=self._follow, name="dcache.follower", daemon=True).start()

    def stop(self, worker: Any) -> None:
        self._over.set()

    def _follow(self) -> None:
        complaint, until_log = "", LOOK_SECONDS
        # More or less: the workers of a region should not all look at once.
        while not self._over.wait(seconds := PURGE_SECONDS * random.uniform(0.75, 1.25)):
            until_log -= seconds
            said = _look(purges_only=until_log > 0)
            until_log += 0 if until_log > 0 else LOOK_SECONDS
            if said and said != complaint:
                log.warning("The log of invalidations can't be followed: %s", said, extra={"action": "follow_failed"})
            complaint = said


def _look(purges_only: bool) -> str:
    """Apply what this region has missed; what went wrong."""
    # Late: a Celery application imports this module before its project is set up.
    from ..edge.purging import purge_due
    from .log import catch_up

    try:
        if known := regions():
            (purge_due if purges_only else catch_up)(known)
    except Exception as error:
        return str(error) or type(error).__name__
    finally:
        connections.close_all()  # A child that is forked from this process must not get a connection of ours.
    return ""
