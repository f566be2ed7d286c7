"""Tags that are invalidated in three regions at once, while workers and the broker end and begin again.

DCACHE_TEST_SCALE=full: ten thousand tags; else as many as take some seconds.
"""

import itertools
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from support.scale import FULL
from support.servers import Broker
from support.two_regions.sites import Sites
from support.waiting import until

REGIONS = ("eu", "us", "asia")
STEPS, BATCH = (20, 167) if FULL else (2, 10)
"""Restarts, and how many tags each region invalidates meanwhile."""
WAIT_SECONDS = 3600 if FULL else 300
TAGS = STEPS * BATCH * len(REGIONS)
PLANT = f"""
cache.set("kept", "kept", None, tags=["kept"])
for number in range({TAGS}):
    cache.set(f"value{{number}}", number, None, tags=[f"tag{{number}}"])
"""
INVALIDATE = f"""
from django_dcache import invalidate
for number in range({{first}}, {{first}} + {BATCH}):
    invalidate(tags=[f"tag{{{{number}}}}"])
"""
SHOW = f'print([*cache.get_many(["kept", *(f"value{{number}}" for number in range({TAGS}))])])'
CATCH_UP = """
from support.two_regions.settings import app
for region in ("eu", "us", "asia"):
    app.send_task("dcache.catch_up", queue=f"dcache.{region}")
"""
APPLIED = "SELECT COUNT(*) FROM dcache_manager_acknowledgement WHERE applied IS NOT NULL"


def run_everywhere(sites: Sites, codes: Iterable[str]) -> list[str]:
    """What each region's code prints, all of them at once."""
    processes = [sites.start(region, code) for region, code in zip(REGIONS, codes, strict=True)]
    printed = [process.communicate(timeout=WAIT_SECONDS)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(REGIONS)
    return printed


def applied(folder: Path) -> int:
    """How many entries the regions have acknowledged."""
    with closing(sqlite3.connect(folder / "sites.sqlite3", timeout=20)) as database:
        (count,) = database.execute(APPLIED).fetchone()
    return int(count)


def caught_up(sites: Sites, folder: Path) -> bool:
    """Whether each region has applied all, after one more look at the log, as Beat sends them."""
    sites.python("eu", CATCH_UP)
    return applied(folder) == TAGS * len(REGIONS)


def logs(folder: Path) -> str:
    """What the workers said."""
    return "".join(path.read_text() for path in folder.glob("*.log"))


def test_no_invalidation_is_lost(tmp_path: Path) -> None:
    """What was invalidated by its tag in any region is gone in every one, and nothing else is, though workers are
    killed in turn and the broker loses what it held."""
    broker = Broker()
    broker.start()
    sites = Sites(tmp_path, broker, regions=REGIONS)
    try:
        run_everywhere(sites, [PLANT] * len(REGIONS))
        workers = {region: sites.work(region) for region in REGIONS}
        first = itertools.count(0, BATCH)
        for step in range(STEPS):
            restarted = REGIONS[step % len(REGIONS)]
            workers[restarted].kill()
            workers[restarted].wait()
            if step % 3 == 1:
                broker.kill()
            run_everywhere(sites, [INVALIDATE.format(first=next(first)) for _ in REGIONS])
            if step % 3 == 1:
                broker.start()
            workers[restarted] = sites.work(restarted)
        assert until(lambda: caught_up(sites, tmp_path), seconds=WAIT_SECONDS), logs(tmp_path)[-4000:]
        assert run_everywhere(sites, [SHOW] * len(REGIONS)) == ["['kept']"] * len(REGIONS)
    finally:
        sites.close()
        broker.close()
