"""Times as the fleet state keeps them: whole numbers that stay small, counted from the year 2025 on."""

MINUTES_TO_2025 = 28_928_160


def minutes(wall_clock: float) -> int:
    """Whole minutes since 2025."""
    return max(0, int(wall_clock // 60) - MINUTES_TO_2025)


def tens_of_seconds(wall_clock: float) -> int:
    """The same, six times as fine."""
    return max(0, int(wall_clock // 10) - MINUTES_TO_2025 * 6)
