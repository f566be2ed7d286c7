"""What Celery beat should do for the fleets; nothing is installed by itself.

app.conf.beat_schedule |= dcache_manager.beat.schedule()
"""

from typing import Any

from .regions import own_queue, queue, regions


def schedule(catch_up: float = 2.0, tend: float = 5.0) -> dict[str, dict[str, Any]]:
    """The entries to merge: every region looks into the log each `catch_up` seconds, and after its jobs each `tend`.

    For every region, so that one beat will do; several do no harm. Raises ConfigurationError.
    """
    known = regions()
    queues = {region: queue(region) for region in (known.everywhere if known else ())}
    entries = {f"dcache.catch_up.{region}": _entry("dcache.catch_up", catch_up, to) for region, to in queues.items()}
    for to in queues.values() or [own_queue()]:
        entries[f"dcache.tend.{to}"] = _entry("dcache.tend", tend, to)
    return entries


def _entry(task: str, seconds: float, queue: str) -> dict[str, Any]:
    # A worker that was away need not do each of those it missed.
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": seconds}}
