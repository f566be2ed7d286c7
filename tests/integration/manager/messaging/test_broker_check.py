"""What `doctor` finds out about the broker where there are no workers; else: invalidation/test_regions_in_time.py."""

import socket
import time

import pytest
from celery import Celery

from dcache_manager.doctor import broker_check as messages


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
