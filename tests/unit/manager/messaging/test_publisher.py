"""Messages to a broker that is away."""

import time

from celery import Celery, current_app

from dcache_manager.messaging.publisher import REST_SECONDS, send
from django_dcache.testing import ManualClock


def test_a_broker_that_is_away_is_left_alone(caplog):
    """A message that no broker takes is logged, and for some seconds none is tried again."""
    before = current_app._get_current_object()
    away = Celery("away", broker="redis://127.0.0.1:9/0", set_as_current=True)
    clock = ManualClock(time.monotonic() + REST_SECONDS)  # Others may have failed to send just before.
    try:
        assert not send("dcache.move", 1, queue="q", clock=clock)
        assert not send("dcache.move", 2, queue="q", clock=clock)
        assert [record.action for record in caplog.records] == ["not_sent"]
        clock.advance(REST_SECONDS)
        assert not send("dcache.move", 3, queue="q", clock=clock)
        assert [record.action for record in caplog.records] == ["not_sent"] * 2
    finally:
        away.close()
        before.set_current()
