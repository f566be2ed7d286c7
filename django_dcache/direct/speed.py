"""The functions of `batch`, compiled if the extra `speed` is installed: the one place where that is decided."""

import os
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from ..transport.pool import Pool
from . import batch
from .known import Known

INTERFACE = 1
"""Counted up whenever a function of `batch` that is compiled too changes: another number is another interface."""


def choose(switch: str | None) -> ModuleType:
    """What has the functions. `switch`, from the environment: "0" leaves the extra alone."""
    if switch == "0":
        return batch
    try:
        import dcache_speed
    except ImportError:
        return batch
    if dcache_speed.INTERFACE == INTERFACE:
        return dcache_speed
    warnings.warn(
        f"django-dcache-speed is left alone: it has interface {dcache_speed.INTERFACE}, and this django-dcache needs"
        f" {INTERFACE}. Install both together: pip install 'django-dcache[speed]'",
        RuntimeWarning,
        stacklevel=2,
    )
    return batch


chosen = choose(os.environ.get("DCACHE_SPEED"))

names: Callable[[str, Iterable[Any]], list[str]] = chosen.names
readers: Callable[[list[Known]], tuple[dict[Pool, list[Known]], list[str]]] = chosen.readers
removals: Callable[[list[Known]], tuple[dict[Pool, list[bytes]], list[str]]] = chosen.removals
questions: Callable[[list[Known], int], bytes] = chosen.questions
answers: Callable[[bytes, int, list[Known], int, int, batch.Found, list[str]], tuple[int, int]] = chosen.answers
header: Callable[[bytes, int], tuple[int, int, int] | None] = chosen.header
