"""The functions that run once for every key, compiled if the extra `speed` is installed: the one place that decides it.

Each has a twin in Python (`model.locate`, `Plans.group`, the short cut of memcached) that does the same.
"""

import os
import warnings
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..engines import Engine
from ..engines.shortcut import NO_SHORT_CUT, ShortCut
from ..model import locate as placing

try:
    import dcache_speed
except ImportError:
    dcache_speed = None

INTERFACE = 3
"""Counted up whenever a function that is compiled changes: another number is another interface."""
UNKNOWN = 2**16 - 1
"""In place of the number of a node: it takes Python to find out."""

Groups = list[tuple[list[bytes], list[str]]]
"""By the number of the node: wire keys, and the made keys they are of."""


def choose(extra: Any, switch: str | None) -> Any:
    """The extra, or None if there is none, it is another one, or `switch` is "0"."""
    if extra is None or switch == "0":
        return None
    if extra.INTERFACE == INTERFACE:
        return extra
    warnings.warn(
        f"django-dcache-speed is left alone: it has interface {extra.INTERFACE}, and this django-dcache needs"
        f" {INTERFACE}. Install both together: pip install 'django-dcache[speed]'",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


compiled = choose(dcache_speed, os.environ.get("DCACHE_SPEED"))
locate: Callable[[str], tuple[bytes, int, int] | None] = (compiled or placing).locate
group: Callable[[list[str], Any, bytearray, list[bytes]], Groups | int] | None = compiled and compiled.group
"""Keys by the node that owns each, or the place of the first one whose owner is UNKNOWN."""


def shortcut_of(engine: Engine) -> ShortCut:
    """The bytes of its short cut."""
    offered: ShortCut = engine.hot or NO_SHORT_CUT
    if compiled and offered.compiled:
        return replace(offered, found=compiled.found, questions=compiled.questions, answers=compiled.answers)
    return offered


def packed(points: list[int]) -> bytes:
    """Points as `group` takes them."""
    return array("I", points).tobytes()
