"""Waiting for what another process does."""

import time
from typing import Any


def until(true: Any, seconds: float = 60.0) -> bool:
    """Whether it came true in time."""
    give_up = time.monotonic() + seconds
    while not true():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True
