"""Time as an argument."""


class ManualClock:
    """A monotonic clock that stands still until it is told otherwise; give it wherever `time.monotonic` would go."""

    def __init__(self, now: float = 1000.0):
        self.now = now
        """Seconds; may be set."""

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Moves on by `seconds` and returns the new time. Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError(f"A monotonic clock can't go back by {-seconds} s.")
        self.now += seconds
        return self.now
