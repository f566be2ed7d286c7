"""What was meant by a name that does not exist."""

from collections.abc import Collection
from difflib import get_close_matches

SHOWN = 12
"""The most names that are listed."""


def meant(name: str, known: Collection[str]) -> str:
    """What to write instead of `name`: the nearest of the known names, and the first of all."""
    if not known:
        return "there are none"
    listed = f"here are {', '.join(list(known)[:SHOWN])}{', …' if len(known) > SHOWN else ''}"
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}? T{listed}" if close else f"t{listed}"
