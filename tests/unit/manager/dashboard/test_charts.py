"""Lines over time, as paths."""

from datetime import UTC, datetime, timedelta

import pytest

from dcache_manager.dashboard.charts import HEIGHT, WIDTH, above, chart, path

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = BEGIN, BEGIN + timedelta(seconds=60)


def points(*values: float | None) -> list[tuple[datetime, float | None]]:
    """One every ten seconds."""
    return [(BEGIN + timedelta(seconds=10 * number), value) for number, value in enumerate(values)]


def test_corners() -> None:
    """Time runs from left to right, zero is below, and the top is above."""
    assert path(points(0, 10, 5, 0, 0, 0, 20), SPAN, 10).startswith(f"M0.0 {HEIGHT}.0h0L100.0 0.0L200.0 75.0")
    assert path(points(0, 10, 5, 0, 0, 0, 20), SPAN, 10).endswith(f"L{WIDTH}.0 0.0")


def test_gaps() -> None:
    """Where nothing is known there is no line."""
    assert path(points(1, None, 1, 1), SPAN, 1) == "M0.0 0.0h0M200.0 0.0h0L300.0 0.0"


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.03, 0.05), (1, 1), (1.01, 2), (9, 10), (10, 10), (2001, 5000)])
def test_round_numbers(value: float, top: float) -> None:
    """The upper edge is the next number that can be read at a glance."""
    assert above(value) == pytest.approx(top)


def test_description() -> None:
    """A chart says in words what it shows last, also of a node that is away."""
    drawn = chart("Load", {"a": points(1, 2), "b": points(1, None), "c": []}, SPAN, "{:g}/s".format, 2)
    assert (drawn.now, drawn.top, drawn.description) == ("2/s", "2/s", "a 2/s, b unknown, c unknown")
