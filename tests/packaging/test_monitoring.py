"""The files for Prometheus and Grafana."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from dcache_manager.exposition import NODES
from django_dcache.metrics.process import READINGS
from support.checkout import CHECKOUT

FOLDER = CHECKOUT / "docs/monitoring"
NAMES = {f"dcache_{name}" for name in READINGS} | {f"dcache_{name}" for name, *_ in NODES.values()}
NAMES |= {"dcache_operations_total", "dcache_keys_total", "dcache_events_total", "dcache_node_failures_total"}
NAMES |= {"dcache_operation_seconds_bucket", "dcache_job_silent_seconds"}
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with the package prometheus")


def test_board_is_made():
    """The board is what script/grafana-board makes; run it again after a change."""
    made = subprocess.run([sys.executable, CHECKOUT / "script/grafana-board"], stdout=subprocess.PIPE, check=True)
    assert made.stdout == (FOLDER / "grafana.json").read_bytes()


def test_board():
    """Each panel has a place of its own and asks for metrics that exist."""
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    asked = {name for panel in panels for name in re.findall(r"dcache_\w+", panel["targets"][0]["expr"])}
    assert asked <= NAMES and all(re.search(r"dcache_\w+", panel["targets"][0]["expr"]) for panel in panels)


def test_alerts_ask_for_what_there_is():
    """The alerts, and the page that lists the metrics, name metrics that exist; the page names all of them."""
    alerts = (FOLDER / "alerts.yml").read_text()
    assert set(re.findall(r"\bdcache_\w+", re.sub("(?m)^#.*$", "", alerts))) <= NAMES
    page = (CHECKOUT / "docs/reference/metrics.md").read_text()
    told = set(re.findall(r"^\| `(dcache_\w+)`", page, re.MULTILINE))
    own = {"dcache_fleet_epoch", "dcache_fleet_proven", "dcache_node_state", "dcache_operation_seconds"}
    assert told == (NAMES | own) - {"dcache_operation_seconds_bucket"}


@needs_promtool
def test_alerts_fire():
    """Prometheus's own tool takes the alerts, and each fires when it should, and not before."""
    subprocess.run(["promtool", "check", "rules", FOLDER / "alerts.yml"], check=True)
    subprocess.run(["promtool", "test", "rules", "alerts.test.yml"], cwd=FOLDER, check=True)
    fired = re.findall(r"alertname: (\w+)", (FOLDER / "alerts.test.yml").read_text())
    assert set(fired) == set(re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text()))
