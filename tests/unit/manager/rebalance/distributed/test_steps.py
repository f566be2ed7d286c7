"""How a pass is cut into steps."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dcache_manager.rebalance.distributed.steps import STEP_KEYS, pieces, split


@given(st.dictionaries(st.integers(0, 255), st.integers(1, 1000)), st.integers(1, 20), st.integers(0, 255))
def test_ranges(keys, parts, low):
    """The ranges follow one another from the first slot to the last, and there are no more than wanted."""
    ranges = list(split(Counter(keys), low, 255, parts))
    assert 1 <= len(ranges) <= parts
    assert [slot for begin, end in ranges for slot in range(begin, end + 1)] == list(range(low, 256))


def test_equal_shares():
    """Where keys are spread evenly each range has about as many of them."""
    keys = Counter(dict.fromkeys(range(256), 100))
    shares = [sum(keys[slot] for slot in range(low, high + 1)) for low, high in split(keys, 0, 255, 5)]
    assert len(shares) == 5 and max(shares) - min(shares) <= 200


def test_worth_it():
    """A step is cut into parts of a bearable size, but not where each would list the node for little."""
    assert pieces(STEP_KEYS, STEP_KEYS) == 1
    assert pieces(10 * STEP_KEYS, 10 * STEP_KEYS) == 10
    assert pieces(2_500_000, 10_000_000) == 3
    assert pieces(50_000, 10_000_000) == 1
    assert pieces(0, 0) == 1
