"""Values as people read them: on a terminal, in the admin."""

from collections.abc import Sequence
from datetime import UTC, datetime


def printable(text: str) -> str:
    """`text` with control characters, and whatever else would move a cursor, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def share(value: float) -> str:
    return f"{value:.1%}"


def count(value: float) -> str:
    return f"{value:,.0f}"


def size(value: float) -> str:
    """A number of bytes."""
    power = next((power for power in range(4) if value < 1024 ** (power + 1)), 4)
    return f"{value / 1024**power:.{min(power, 1)}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def span(seconds: float) -> str:
    """A length of time, by its two largest units."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, length)
        if number or parts or unit == "s":
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


def age(moment: str) -> str:
    """How long ago an ISO 8601 moment was."""
    return span((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def clock(moment: str) -> str:
    """The local time of an ISO 8601 moment; with its date, unless that is today's."""
    then = datetime.fromisoformat(moment).astimezone()
    return f"{then:%H:%M:%S}" if then.date() == datetime.now().astimezone().date() else f"{then:%Y-%m-%d %H:%M}"


def names(values: Sequence[str]) -> str:
    return ", ".join(values)
