"""How long a server is told to keep an item: so that none outlives its TTL."""

MAX_MILLISECONDS = 10**14
"""Three thousand years: beyond, it never expires."""


def milliseconds(ttl: float | None, late: int = 0) -> int | None:
    """A TTL (seconds above 0, or None for ever) in milliseconds, less those by which the server is late; at least 1.
    None for one that never ends."""
    if ttl is None or ttl * 1000 > MAX_MILLISECONDS:
        return None
    return max(1, int(ttl * 1000) - late)
