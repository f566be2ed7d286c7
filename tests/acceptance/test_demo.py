"""`dcache-admin demo`: the whole of it, once."""

import json
import signal
import subprocess

import pytest

from support import builds, varnish
from support.command_line import Console, read_until


@pytest.fixture
def console(tmp_path):
    """A folder without a project: the demo brings its own."""
    return Console(tmp_path)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The programs of a virtualenv with the wheel in it, outside of the checkout."""
    wheel = builds.main_wheel(tmp_path_factory.mktemp("wheel"))
    return builds.installed(tmp_path_factory.mktemp("installed") / "venv", wheel)


@pytest.mark.timing  # Its visitors wait for a few seconds at most.
def test_once(programs, tmp_path):
    """Installed from its wheel alone, the demo keeps every promise it makes, and leaves nothing behind."""
    console = Console(tmp_path, python=str(programs / "python"))
    del console.environment["PYTHONPATH"]
    demo = console.start("demo", "--once", TMPDIR=str(tmp_path))
    said, narrated = demo.communicate(timeout=300)
    assert demo.returncode == 0, narrated
    *lines, document = said.splitlines()
    results = json.loads(document)
    assert {line.split("  ")[0] for line in lines} >= {"hit ratio", "keys moved", "stale reads", "HTTP errors"}
    assert (results["schema"], results["epochs"], results["errors"]) == ("dcache.demo/v1", [1, 6], [])
    assert (results["stale_reads"], results["http_errors"]) == (0, 0)
    if varnish.MISSING:
        assert results["edge"] is None and "No edge before it: there is no varnishd" in narrated
    else:
        assert results["edge"]["changed"] and results["edge"]["kept"]
    assert results["keys_moved"] > 6000  # two copies of each key: about half of a new node's share of both
    assert results["hit_ratio"]["dead"] > results["hit_ratio"]["after"] - 0.1
    assert results["runner"] == "celery" and results["steps"] >= 12
    assert len(results["share"]) == 4 and sum(results["share"].values()) == pytest.approx(1, abs=0.001)
    assert list(tmp_path.glob("dcache-demo-*")) == []
    assert not _alive(tmp_path)


def test_interrupted(console, tmp_path):
    """Interrupted in the middle, it ends what it started and says so with its exit code."""
    demo = console.start("demo", TMPDIR=str(tmp_path))
    read_until(demo, "Open these")
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.glob("dcache-demo-*")) == []
    assert not _alive(tmp_path)


def _alive(folder):
    """Processes that have this folder in their command line."""
    listed = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]
