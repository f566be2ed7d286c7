"""A resize whose conductor was killed is finished, or led back, by workers: what the dashboard asks for."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from django_dcache.testing import LocalFleet
from support.celery_site.site import OPTIONS, Site
from support.conductors import connected
from support.waiting import until

TAKE_OVER = """
import django; django.setup()
from dcache_manager.inspection.fleet_report import look_closely
from dcache_manager.inspection.target import of_alias
from dcache_manager.rebalance import service
from dcache_manager.models import Job
from support.waiting import until
target = of_alias()
# Until then the conductor that was killed still seems to hold its lease.
assert until(lambda: service.status(target, look_closely(target, 4)).state == "interrupted")
service.ask(target, {wish!r}, look_closely(target, 4))
print(Job.objects.filter(terms__has_key="queue").get().state)
"""


@pytest.mark.parametrize(("wish", "state", "count"), [("run", "done", 3), ("cancel", "cancelled", 2)])
def test_interrupted(fleet: Callable[..., LocalFleet], tmp_path: Path, wish: str, state: str, count: int) -> None:
    """Once the conductor is gone, a job finishes the resize, or leads back to the layout before it."""
    nodes = fleet(2)
    addresses = list(nodes.addresses)
    nodes.add()
    with connected(addresses, OPTIONS) as ours, closing(Site(tmp_path, addresses)) as site:
        ours.proven_view()
        run = site.start("rebalance", "run", "--add", nodes.addresses[2], "--yes")
        assert until(lambda: ours.proven_view().state.topology.target)
        run.kill()
        run.communicate()
        took = subprocess.run(
            [sys.executable, "-c", TAKE_OVER.format(wish=wish)], env=site.environment, capture_output=True, text=True
        )
        assert took.stdout.strip() == state, took.stderr
        assert until(lambda: len(ours.proven_view().state.topology.nodes) == count)
        assert ours.proven_view().state.topology.target is None
