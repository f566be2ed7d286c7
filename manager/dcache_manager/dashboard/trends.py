"""How the fleet fared over time: what the overview shows of the samples."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils.timezone import now

from .. import metrics
from ..formatting import count, share
from ..rates import Rate, hit_ratio
from .charts import Chart, Point, chart

WINDOWS = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "6h": timedelta(hours=6), "1d": timedelta(days=1)}
WINDOWS["7d"] = metrics.SAMPLES_KEPT
MAX_LINES = 8
"""Of more nodes only the sum or the worst is drawn: lines that can't be told apart tell nothing."""
ALL = "all nodes"


def beginning(found: Mapping[str, Sequence[Rate]], window: timedelta) -> datetime:
    """Of the charts: that of the window, or of what is known."""
    first: datetime = now() - window
    return max(first, min((rates[0].at for rates in found.values() if rates), default=first))


def charts(found: Mapping[str, Sequence[Rate]], begin: datetime) -> list[Chart]:
    span = begin, now()

    def drawn(
        title: str,
        value: Callable[[Rate], float | None],
        together: Callable[[Sequence[Rate]], float | None],
        text: Callable[[float], str],
        top: float | None = None,
    ) -> Chart:
        series = {node: [(rate.at, value(rate)) for rate in rates] for node, rates in found.items()}
        if len(series) > MAX_LINES:
            series = {ALL: _together(found, together)}
        newest = together([rates[-1] for rates in found.values() if rates])
        return chart(title, series, span, text, newest, top)

    return [
        drawn("Operations a second", lambda rate: rate.operations, _sum("operations"), per_second),
        drawn("Hit ratio", lambda rate: rate.hit_ratio, hit_ratio, share, 1.0),
        drawn("Evictions a second", lambda rate: rate.evictions, _sum("evictions"), per_second),
        drawn("Time to answer a look", lambda rate: rate.answer_seconds, _slowest, seconds),
    ]


def per_second(value: float) -> str:
    return f"{count(value) if value >= 10 else f'{value:.1f}'}/s"


def seconds(value: float) -> str:
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _together(found: Mapping[str, Sequence[Rate]], value: Callable[[Sequence[Rate]], float | None]) -> list[Point]:
    moments: dict[datetime, list[Rate]] = {}
    for rates in found.values():
        for rate in rates:
            moments.setdefault(rate.at, []).append(rate)
    return [(at, value(moments[at])) for at in sorted(moments)]


def _sum(name: str) -> Callable[[Sequence[Rate]], float | None]:
    def value(rates: Sequence[Rate]) -> float | None:
        known = [number for rate in rates if (number := getattr(rate, name)) is not None]
        return sum(known) if known else None

    return value


def _slowest(rates: Sequence[Rate]) -> float | None:
    known: list[Any] = [rate.answer_seconds for rate in rates if rate.answer_seconds is not None]
    return max(known, default=None)
