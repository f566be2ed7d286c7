"""`dcache-admin demo`: the whole of it, once."""

import json
import signal
import subprocess

import pytest

from support.command_line import Console, read_until


@pytest.fixture
def console(tmp_path):
    """A folder without a project: the demo brings its own."""
    return Console(tmp_path)


def test_once(console, tmp_path):
    """The demo keeps every promise it makes, and leaves nothing behind."""
    demo = console.start("demo", "--once", TMPDIR=str(tmp_path))
    said, narrated = demo.communicate(timeout=300)
    assert demo.returncode == 0, narrated
    *lines, document = said.splitlines()
    facts = json.loads(document)
    assert {line.split("  ")[0] for line in lines} >= {"hit ratio", "keys moved", "stale reads", "HTTP errors"}
    assert (facts["schema"], facts["epochs"], facts["errors"]) == ("dcache.demo/v1", [1, 6], [])
    assert (facts["stale_reads"], facts["http_errors"]) == (0, 0)
    assert facts["keys_moved"] > 3000
    assert facts["runner"] == "celery" and facts["steps"] >= 12
    assert len(facts["share"]) == 4 and sum(facts["share"].values()) == pytest.approx(1, abs=0.001)
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
