"""Lines over time, as paths of an SVG picture. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, log10

WIDTH, HEIGHT = 600, 150
Point = tuple[datetime, float | None]
"""None: a gap."""


@dataclass(frozen=True, slots=True)
class Line:
    node: str
    colour: int
    path: str
    last: str
    """The newest value, as text; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    now: str
    """The newest value of the whole fleet, as text."""
    top: str
    """What the upper edge stands for; the lower one is 0."""
    lines: list[Line]

    @property
    def description(self) -> str:
        """For readers who do not see it."""
        return ", ".join(f"{line.node} {line.last or 'unknown'}" for line in self.lines) or "no samples yet"


def chart(
    title: str,
    series: Mapping[str, Sequence[Point]],
    span: tuple[datetime, datetime],
    text: Callable[[float], str],
    now: float | None,
    top: float | None = None,
) -> Chart:
    """`series`: points by node, in order. `top`: what the upper edge stands for; by default a round number."""
    known = [value for points in series.values() for _, value in points if value is not None]
    limit = top or above(max(known, default=0.0))
    lines = []
    for colour, (node, points) in enumerate(series.items()):
        last = points[-1][1] if points else None
        lines.append(Line(node, colour, path(points, span, limit), "" if last is None else text(last)))
    return Chart(title, "" if now is None else text(now), text(limit), lines)


def path(points: Iterable[Point], span: tuple[datetime, datetime], top: float) -> str:
    """A line through points that are known, interrupted where one is not."""
    begin, seconds = span[0], (span[1] - span[0]).total_seconds()
    pieces: list[str] = []
    pen = "M"
    for at, value in points:
        if value is None:
            pen = "M"
            continue
        x, y = WIDTH * (at - begin).total_seconds() / seconds, HEIGHT * (1 - min(value / top, 1.0))
        # A point without neighbours is a line of no length, whose round ends can be seen.
        pieces.append(f"{pen}{x:.1f} {y:.1f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(pieces)


def above(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** ceil(log10(value) - 1)
    return next((step * power for step in (1, 2, 5) if step * power >= value), 10 * power)
