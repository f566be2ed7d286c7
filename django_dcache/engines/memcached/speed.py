"""The functions of `batch`, compiled if the extra `speed` is installed: the one place where that is decided."""

import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ...runtime.plan import Known
from ...transport.pool import Pool
from . import batch

try:
    import dcache_speed
except ImportError:
    dcache_speed = None

INTERFACE = 1
"""Counted up whenever a function of `batch` that is compiled too changes: another number is another interface."""


def choose(extra: Any, switch: str | None) -> ModuleType:
    """What has the functions: `extra`, unless there is none, it is another one, or `switch` is "0"."""
    if extra is None or switch == "0":
        return batch
    if extra.INTERFACE == INTERFACE:
        return extra
    warnings.warn(
        f"django-dcache-speed is left alone: it has interface {extra.INTERFACE}, and this django-dcache needs"
        f" {INTERFACE}. Install both together: pip install 'django-dcache[speed]'",
        RuntimeWarning,
        stacklevel=2,
    )
    return batch


chosen = choose(dcache_speed, os.environ.get("DCACHE_SPEED"))

readers: Callable[[list[Known]], tuple[dict[Pool, list[Known]], list[str]]] = chosen.readers
removals: Callable[[list[Known]], tuple[dict[Pool, list[bytes]], list[str]]] = chosen.removals
questions: Callable[[list[Known], int], bytes] = chosen.questions
answers: Callable[[bytes, int, list[Known], int, int, batch.Found, list[str]], tuple[int, int]] = chosen.answers
header: Callable[[bytes, int], tuple[int, int, int] | None] = chosen.header
