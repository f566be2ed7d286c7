"""What Celery beat should do for the fleets; nothing is installed by itself.

app.conf.beat_schedule |= dcache_manager.beat.schedule()
"""

from typing import Any

from .regions import queue, regions


def schedule(catch_up: float = 2.0) -> dict[str, dict[str, Any]]:
    """The entries to merge: every region looks into the log each `catch_up` seconds.

    For every region, so that one beat will do; several do no harm. Raises ConfigurationError.
    """
    known = regions()
    return {
        f"dcache.catch_up.{region}": {
            "task": "dcache.catch_up",
            "schedule": catch_up,
            # A worker that was away need not do each of those it missed.
            "options": {"queue": queue(region), "expires": catch_up},
        }
        for region in (known.everywhere if known else ())
    }
