"""How fast keys are moved."""

from dcache_manager.throttle import FIRST_BATCH_KEYS, MAX_BATCH_KEYS, MIN_BATCH_KEYS, Throttle
from django_dcache.testing import ManualClock


def paced(rate: float | None, clock: ManualClock) -> Throttle:
    return Throttle(rate, 0.02, clock, clock.advance)  # type: ignore[arg-type]


def test_no_limit() -> None:
    """Without a rate nobody waits."""
    clock = ManualClock()
    pace = paced(None, clock)
    for _ in range(100):
        pace.spend(1000)
    assert clock.now == ManualClock().now


def test_rate() -> None:
    """However keys are batched, no more are moved than the rate allows, but for one batch at the beginning."""
    clock = ManualClock()
    pace, began = paced(100, clock), clock.now
    for keys in (10, 1, 5, 10, 74, 100):
        pace.spend(keys)
    assert clock.now - began == 1.0


def test_idle_time_is_not_saved_up() -> None:
    """After a pause at most a tenth of a second's worth is moved at once."""
    clock = ManualClock()
    pace = paced(100, clock)
    pace.spend(10)
    resumed = clock.advance(3600)
    for _ in range(3):
        pace.spend(10)
    assert round(clock.now - resumed, 6) == 0.1


def test_batches_grow_as_long_as_they_are_quick() -> None:
    """Quick batches double, up to the most that pays."""
    pace = paced(None, ManualClock())
    sizes = [pace.batch]
    for _ in range(5):
        pace.took(pace.batch, 0.001)
        sizes.append(pace.batch)
    assert sizes == [
        FIRST_BATCH_KEYS,
        FIRST_BATCH_KEYS * 2,
        FIRST_BATCH_KEYS * 4,
        MAX_BATCH_KEYS,
        MAX_BATCH_KEYS,
        MAX_BATCH_KEYS,
    ]


def test_a_slow_batch_cuts_the_next() -> None:
    """After a batch that took twice as long as it should the next has half of its keys."""
    pace = paced(None, ManualClock())
    pace.took(128, 0.04)
    assert pace.batch == 64


def test_nodes_that_are_far_away_do_not_cut_batches_to_nothing() -> None:
    """However long a batch took, the next has some keys: one at a time would take as long each."""
    pace = paced(None, ManualClock())
    pace.took(FIRST_BATCH_KEYS, 60.0)
    assert pace.batch == MIN_BATCH_KEYS


def test_batches_that_took_no_time() -> None:
    """A clock too coarse to see a batch is no reason to stop growing."""
    pace = paced(None, ManualClock())
    pace.took(FIRST_BATCH_KEYS, 0.0)
    assert pace.batch == FIRST_BATCH_KEYS * 2


def test_a_batch_is_a_tenth_of_a_second_of_the_rate() -> None:
    """With a rate no batch has more keys than a tenth of a second allows, so that a limit is not reached in jerks."""
    pace = paced(500, ManualClock())
    pace.took(50, 0.0)
    assert pace.batch == 50
    assert paced(1, ManualClock()).batch == 1
