"""What Celery beat should do for the fleets; nothing is installed by itself.

app.conf.beat_schedule |= dcache_manager.beat.schedule()
"""

from typing import Any

from ..settings import own_queue, queue, regions


def schedule(
    catch_up: float = 2.0, tend: float = 5.0, warm: float = 10.0, sample: float = 30.0, expire: float = 3600.0
) -> dict[str, dict[str, Any]]:
    """The entries to merge: how many seconds lie between two runs of each.

    In every region: catch_up looks into the log, tend sees to jobs that no worker is at, warm begins runs of warmers
    that are due, sample asks the nodes how they are. Once: expire drops what is old. The entries are for every region,
    so that one beat will do; several do no harm. Raises ConfigurationError.
    """
    known = regions()
    queues = [queue(region) for region in known.everywhere] if known else [own_queue()]
    everywhere = {"tend": tend, "warm_due": warm, "sample": sample} | ({"catch_up": catch_up} if known else {})
    entries = [_entry(verb, seconds, name) for verb, seconds in everywhere.items() for name in queues]
    entries.append(_entry("expire", expire, own_queue()))
    return {f"{entry['task']} in {entry['options']['queue']}": entry for entry in entries}


def _entry(verb: str, seconds: float, name: str) -> dict[str, Any]:
    # A worker that was away need not do each of those it missed.
    return {"task": f"dcache.{verb}", "schedule": seconds, "options": {"queue": name, "expires": seconds}}
