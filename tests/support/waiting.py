"""Waiting: for what another process does, for the event loop, and for as long as a fault lasts."""

import asyncio
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


def lasts(seconds: float) -> None:
    """A fault, or the time between two, lasts this long. All else is waited for until it has come."""
    time.sleep(max(0.0, seconds))


async def turn(times: int = 1) -> None:
    """Whatever is ready on the event loop runs, as often as this."""
    for _ in range(times):
        await asyncio.sleep(0)
