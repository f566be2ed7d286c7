"""What Celery beat should do for the fleets; nothing is installed by itself.

app.conf.beat_schedule |= dcache_manager.beat.schedule()
"""

from typing import Any

from .regions import own_queue, queue, regions


def schedule(
    catch_up: float = 2.0, sample: float = 30.0, warm_due: float = 10.0, expire: float = 3600.0
) -> dict[str, dict[str, Any]]:
    """The entries to merge: how many seconds lie between two runs of each.

    catch_up: every region looks into the log. sample: every region probes its nodes. warm_due: every region begins the
    runs of warmers that are due, and goes on with those that were left alone. expire: what is old is dropped.
    For every region, so that one beat will do; several do no harm. Raises ConfigurationError.
    """
    known = regions()
    entries = {"dcache.expire": _entry("expire", expire, own_queue())}
    if known is None:
        entries["dcache.sample"] = _entry("sample", sample, own_queue())
        entries["dcache.warm_due"] = _entry("warm_due", warm_due, own_queue())
        return entries
    for region in known.everywhere:
        entries[f"dcache.catch_up.{region}"] = _entry("catch_up", catch_up, queue(region))
        entries[f"dcache.sample.{region}"] = _entry("sample", sample, queue(region))
        entries[f"dcache.warm_due.{region}"] = _entry("warm_due", warm_due, queue(region))
    return entries


def _entry(verb: str, seconds: float, name: str) -> dict[str, Any]:
    # A worker that was away need not do each of those it missed.
    return {"task": f"dcache.{verb}", "schedule": seconds, "options": {"queue": name, "expires": seconds}}
