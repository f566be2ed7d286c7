"""The hit ratio over time as an SVG, phases in the background."""

from collections.abc import Mapping, Sequence
from html import escape

from .schedule import Phase

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1000, 260, 44, 12, 28


def hit_ratio(seconds: Mapping[int, Sequence[int]], phases: Sequence[Phase]) -> str:
    """`seconds`: [hits, misses] of each second since the first phase began."""
    if not phases:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>'
    origin = phases[0].began
    length = max(1.0, phases[-1].ended - origin)
    scale = (WIDTH - LEFT) / length
    floor = HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for phase in phases:
        if phase.name != "calm":
            x, width = LEFT + (phase.began - origin) * scale, (phase.ended - phase.began) * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{floor - TOP}" fill="#f6dcd0">'
                f"<title>{escape(phase.name)}</title></rect>"
            )
    for percent in (0, 25, 50, 75, 100):
        y = floor - (floor - TOP) * percent / 100
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{percent} %</text>')
    points = [
        f"{LEFT + (second + 0.5) * scale:.1f},{floor - (floor - TOP) * hits / (hits + misses):.1f}"
        for second, (hits, misses) in sorted(seconds.items())
        if hits + misses
    ]
    parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="#1b6ac9" stroke-width="1.5"/>')
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 8}" fill="#555">hit ratio over {length:.0f} s; faults are shaded</text>'
    )
    return "\n".join([*parts, "</svg>\n"])
