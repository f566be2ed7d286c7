"""What `doctor` finds out about the broker and the workers, with a real Redis, real workers, and with none."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from dcache_manager import messages

from .sites import Broker, Sites, until


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    broker = Broker()
    broker.start()
    sites = Sites(tmp_path, broker)
    try:
        yield sites
    finally:
        sites.close()
        broker.close()


def verdicts(sites: Sites) -> dict[str, str]:
    """{check: verdict} of what is about messages, as the doctor says it in region eu."""
    items = json.loads(sites.admin("eu", "doctor", "--json", "--timeout", "3"))["items"]
    return {item["check"]: item["verdict"] for item in items if item["check"] in ("broker", "worker", "broadcast")}


def test_regions(sites: Sites) -> None:
    """A region without a worker is warned of by its name; a broker that is gone fails; neither is waited for long."""
    sites.work("eu")
    assert until(lambda: verdicts(sites) == {"broker": "ok", "worker": "ok", "broadcast": "warn"})
    sites.work("us")
    assert until(lambda: verdicts(sites) == {"broker": "ok", "worker": "ok", "broadcast": "ok"})
    assert sites.broker
    sites.broker.kill()
    assert verdicts(sites) == {"broker": "fail"}


@pytest.mark.parametrize(
    ("broker", "debug", "verdicts"),
    [
        (None, False, {"broker": "ok"}),
        ("redis://127.0.0.1:9/0", False, {"broker": "fail"}),
        ("amqp://127.0.0.1:9//", False, {"broker": "fail"}),
        ("memory://", False, {"broker": "warn", "worker": "warn"}),
        ("memory://", True, {"broker": "ok", "worker": "warn"}),
    ],
)
def test_no_worker(broker: str | None, debug: bool, verdicts: dict[str, str]) -> None:
    """Without a broker, with one that is not there, or with one that only this process has, there is soon an answer."""
    Celery("tests", set_as_current=True, broker=broker)
    began = time.monotonic()
    assert {found.check: found.verdict for found in messages.findings(0.5, debug)} == verdicts
    assert time.monotonic() - began < 3


def test_a_broker_that_says_nothing() -> None:
    """One that takes connections and never answers is given up in time."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        Celery("tests", set_as_current=True, broker=f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        began = time.monotonic()
        (found,) = messages.findings(0.5, True)
        assert found.verdict == "fail" and time.monotonic() - began < 3
