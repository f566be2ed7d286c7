"""The time of day in which a fleet may be resized."""

from datetime import time

import pytest

from dcache_manager.discovery.window import Window
from django_dcache.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("09:30-17:00", ["09:30", "16:59"], ["09:29", "17:00"]), ("22:00-6:00", ["23:10", "05:59"], ["06:00", "21:59"])],
)
def test_window(text: str, inside: list[str], outside: list[str]) -> None:
    """It may begin on the day before."""
    window = Window.parse(text)
    assert all(window.holds(time.fromisoformat(moment)) for moment in inside)
    assert not any(window.holds(time.fromisoformat(moment)) for moment in outside)


@pytest.mark.parametrize("text", ["22-6", "25:00-06:00", "22:00", "", "22:00-06:61"])
def test_no_window(text: str) -> None:
    """What is no time of day is refused."""
    with pytest.raises(ConfigurationError, match="want HH:MM-HH:MM"):
        Window.parse(text)
