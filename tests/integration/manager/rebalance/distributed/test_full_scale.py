"""A rebalance of 200,000 keys by four children of two workers, under load, while children and brokers are killed.

DCACHE_TEST_SCALE=full runs it (minutes). It needs RabbitMQ and PostgreSQL (with psycopg) for half of its cases.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from dcache_manager.cli.exit_codes import Exit
from django_dcache.testing import LocalFleet
from support.celery_site.site import Site
from support.load.assertions import OPTIONS, assert_unnoticed
from support.load.processes import Load
from support.scale import FULL
from support.servers import Broker, PostgreSQL, RabbitMQ

KEYS, COUNTERS, MEMORY = 200_000, 500, 1024
REST = 0.1
"""Four processes that never rest would leave two cores no time for anything else."""
BETWEEN_KILLS = 5.0
MOST = 1.5
"""How much longer it may take than undisturbed."""

pytestmark = pytest.mark.skipif(not FULL, reason="DCACHE_TEST_SCALE=full runs it")


@pytest.fixture(params=["redis-sqlite", "redis-postgresql", "rabbitmq-sqlite", "rabbitmq-postgresql"])
def servers(request: Any) -> Iterator[tuple[Any, dict[str, Any] | None]]:
    """A broker, and the entry of a database."""
    broker_name, database_name = request.param.split("-")
    with ExitStack() as stack:
        broker: Any = stack.enter_context(closing(Broker() if broker_name == "redis" else RabbitMQ()))
        broker.start()
        database = stack.enter_context(closing(PostgreSQL())).database if database_name == "postgresql" else None
        yield broker, database


def run(site: Site, *change: str) -> tuple[float, dict[str, Any]]:
    """Seconds that the job took from its beginning to its end, and what it answers."""
    began = time.monotonic()
    with site.start("rebalance", "run", "--runner", "celery", "--yes", *change) as command:
        said, told = command.communicate(timeout=900)
    assert command.returncode == Exit.OK, told + site.said[-3000:]
    item: dict[str, Any] = json.loads(said)["items"][0]
    seconds = time.monotonic() - began
    print(f"{' '.join(change)}: {seconds:.1f} s, {item['moved']} keys moved in {item['steps']} steps", *item["notes"])
    return seconds, item


class Killer(threading.Thread):
    """Kills a child every five seconds until it is stopped."""

    def __init__(self, site: Site):
        super().__init__()
        self._site, self._stop_it, self.kills = site, threading.Event(), 0

    def run(self) -> None:
        while not self._stop_it.wait(BETWEEN_KILLS):
            self._site.kill_child()
            self.kills += 1

    def __exit__(self, *_: object) -> None:
        self._stop_it.set()
        self.join()

    def __enter__(self) -> "Killer":
        self.start()
        return self


def test_killed_all_the_time(servers: Any, tmp_path: Path) -> None:
    """With a child killed every five seconds it takes at most half as long again, and nobody notices; nor does anybody
    when the broker is killed and started again."""
    broker, database = servers
    with LocalFleet(3, memory=MEMORY) as nodes, Load(nodes.addresses, OPTIONS, KEYS, COUNTERS, rest=REST) as load:
        with closing(Site(tmp_path, list(nodes.addresses), broker.url, OPTIONS, database)) as site:
            site.work(2), site.work(2)
            added = [nodes.add().address for _ in range(2)]
            calm, item = run(site, "--add", added[0])
            assert item["moved"] > KEYS / 10
            run(site, "--remove", added[0])
            with Killer(site) as killer:
                disturbed, _ = run(site, "--add", added[1])
            print(f"{calm:.1f} s undisturbed, {disturbed:.1f} s with {killer.kills} kills")

            broken = threading.Timer(calm / 3, broker.kill)
            mended = threading.Timer(calm / 3 + 10, broker.start)
            broken.start(), mended.start()
            without_broker, _ = run(site, "--remove", added[1])
            mended.join()
            print(f"{without_broker:.1f} s while the broker was killed and started again")
        assert_unnoticed(nodes, load, must_be_calm=False, moves=4)
        assert disturbed <= MOST * calm
