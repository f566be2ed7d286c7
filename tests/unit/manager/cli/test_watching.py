"""Following what goes on elsewhere."""

import pytest

from dcache_manager.cli.watching import POLL_SECONDS, follow
from dcache_manager.errors import TimedOut


def test_every_look_is_shown_until_it_is_over():
    """What each look sees is shown, between pauses; what the last one sees is over, and is not."""
    looks, shown, pauses = iter([None, "one", "two", "three"]), [], []
    seen = []

    def look():
        seen.append(next(looks))
        return seen[-1]

    follow(look, lambda: seen[-1] == "three", shown.append, sleep=pauses.append)
    assert shown == ["one", "two"]
    assert pauses == [POLL_SECONDS] * 3


def test_time_begins_with_what_is_seen():
    """As long as there is nothing to be seen there is no timeout; then it says what it was that did not end."""
    looks, pauses = iter([None] * 100 + ["begun"]), []
    with pytest.raises(TimedOut, match="rebalance 7"):
        follow(lambda: next(looks), lambda: False, str, seconds=0, what="rebalance 7", sleep=pauses.append)
    assert len(pauses) == 100
