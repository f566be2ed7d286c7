"""Since when a node is silent, by the samples."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from dcache_manager.inspection.outages import silent_since
from dcache_manager.models import NodeSample


def sample(minutes: int, state: str, node: str = "cache-1", fleet: str = "shop") -> NodeSample:
    moment = now() - timedelta(minutes=minutes)
    return NodeSample.objects.create(fleet=fleet, node=node, at=moment, state=state)


@pytest.mark.usefixtures("tables")
def test_since_when() -> None:
    """It is silent since the first sample without an answer after the last one with; earlier outages do not count, nor
    those of other nodes and fleets; and of a node without samples nothing is known."""
    sample(90, "down"), sample(60, "up"), sample(50, "up")
    first = sample(40, "down")
    sample(30, "down"), sample(45, "down", fleet="other"), sample(20, "up", node="cache-2")
    assert silent_since("shop", ["cache-1", "cache-2", "cache-3"]) == {"cache-1": first.at}
    sample(10, "out")
    assert silent_since("shop", ["cache-1"]) == {}


def test_without_tables() -> None:
    """Where there are no tables there is no answer, and no error."""
    assert silent_since("shop", ["cache-1"]) == {}
