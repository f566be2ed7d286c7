"""What Celery beat should do for the fleets; nothing is installed by itself.

app.conf.beat_schedule |= dcache_manager.beat.schedule()
"""

from typing import Any

from .regions import own_queue, queue, regions


def schedule(catch_up: float = 2.0, warm: float = 10.0) -> dict[str, dict[str, Any]]:
    """The entries to merge: every region looks into the log each `catch_up` seconds, and each `warm` seconds for
    warmers whose `every` is over.

    For every region, so that one beat will do; several do no harm. Raises ConfigurationError.
    """
    known = regions()
    entries: dict[str, dict[str, Any]] = {}
    for region in known.everywhere if known else ():
        entries[f"dcache.catch_up.{region}"] = _entry("dcache.catch_up", catch_up, queue(region))
        entries[f"dcache.warm_due.{region}"] = _entry("dcache.warm_due", warm, queue(region))
    return entries or {"dcache.warm_due": _entry("dcache.warm_due", warm, own_queue())}


def _entry(task: str, seconds: float, queue: str) -> dict[str, Any]:
    # A worker that was away need not do each of those it missed.
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": seconds}}
