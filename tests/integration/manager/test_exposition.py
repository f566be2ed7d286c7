"""What nodes and jobs say of themselves, for Prometheus."""

import shutil
import subprocess
from datetime import UTC, datetime

from dcache_manager.exposition import exposition
from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.target import of_nodes
from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalFleet
from support.waiting import until


def test_exposition():
    """Each node has its state and figures, and each unfinished job the seconds since it was heard of; Prometheus's own
    tool, where it is installed, finds no fault with the text."""
    with LocalFleet(2) as nodes:
        cache = DistributedCache(nodes.addresses, {"OPTIONS": {"fleet": "shop"}})
        assert until(lambda: cache.set("key", "value"))
        nodes.nodes[1].kill()
        heard = datetime.fromtimestamp(1_000_000, UTC).isoformat(timespec="seconds")
        jobs = [{"job": "ab12", "kind": "warm", "state": "running", "at": heard}]
        text = exposition(look(of_nodes(nodes.addresses[0], "shop"), 0.5), jobs, now=1_000_090)
    lines = set(text.splitlines())
    up, down = nodes.addresses
    assert f'dcache_node_state{{fleet="shop",node="{up}",state="up"}} 1' in lines
    assert f'dcache_node_state{{fleet="shop",node="{down}",state="down"}} 1' in lines
    assert any(line.startswith(f'dcache_node_items{{fleet="shop",node="{up}"}}') for line in lines)
    assert 'dcache_job_silent_seconds{fleet="shop",kind="warm",job_name="ab12",state="running"} 90.0' in lines
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True)
