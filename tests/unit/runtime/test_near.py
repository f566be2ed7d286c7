"""The near cache: what may be served again, and until when."""

from types import SimpleNamespace

import pytest

from django_dcache.runtime.near import Near
from django_dcache.testing import ManualClock

PLANS, OTHER_PLANS = SimpleNamespace(stable=True), SimpleNamespace(stable=True)
MOVING = SimpleNamespace(stable=False)
FOREVER = float("inf")


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def near(clock):
    """A near cache of a fleet whose `freshness` is a second."""
    return Near(1_000_000, 1.0, clock)


def read(near, clock, key="k", value="v", plans=PLANS, began=None, times=2):
    """What a caller does that finds the value on a node."""
    for _ in range(times):
        if near.read_before(key):
            near.admit(key, clock() if began is None else began, plans, 16, value.encode(), value)


def served(near, key="k", plans=PLANS, proven_until=FOREVER):
    """The value that would be served now."""
    entry = near.find(key, near._clock(), plans, proven_until)
    return entry and entry.value


def test_a_key_comes_in_when_it_is_read_again(near, clock):
    """What was read once is not kept; what was read twice is."""
    read(near, clock, times=1)
    assert served(near) is None
    read(near, clock, times=1)
    assert served(near) == "v"


def test_a_value_is_as_old_as_the_request_that_read_it(near, clock):
    """It is served for `freshness` from the moment at which it was asked for, and not from that of the reply."""
    began = clock()
    clock.advance(0.4)
    read(near, clock, began=began)
    clock.advance(0.51)
    assert served(near) is None  # the first one in the last tenth of its life reads again
    assert served(near) == "v"
    clock.advance(0.1)
    assert served(near) is None


def test_one_caller_reads_again_in_the_last_tenth_of_its_life(near, clock):
    """One caller is sent to the nodes; the others are served meanwhile."""
    read(near, clock)
    clock.advance(0.91)
    assert [served(near) for _ in range(3)] == [None, "v", "v"]


def test_other_plans_end_an_entry(near, clock):
    """After a bump, an invalidation or a change of the topology nothing is served that was read before."""
    read(near, clock)
    assert served(near, plans=OTHER_PLANS) is None
    assert served(near) == "v"


def test_a_view_that_is_not_proven_serves_nothing(near, clock):
    """A process that can't know of a bump serves nothing that the bump may have ended."""
    read(near, clock)
    clock.advance(0.2)
    assert served(near, proven_until=clock() - 0.1) is None


def test_keys_that_move_are_not_kept(near, clock):
    """While keys move they are read from the nodes."""
    read(near, clock, plans=MOVING)
    assert served(near, plans=MOVING) is None


def test_a_write_drops_what_was_read(near, clock):
    """A write takes the entry away, and what was asked for before the write was answered does not come in."""
    read(near, clock)
    began = clock()
    with near.writing(["k"]):
        assert served(near) is None
        read(near, clock)
        assert served(near) is None
    read(near, clock, began=began)
    assert served(near) is None
    clock.advance(0.001)
    read(near, clock, value="new")
    assert served(near) == "new"


def test_of_two_writes_the_last_counts(near, clock):
    """While one of two writes goes on, the end of the other lets nothing in."""
    with near.writing(["k"]):
        with near.writing(["k"]):
            pass
        clock.advance(0.001)
        read(near, clock)
        assert served(near) is None


def test_clearing_drops_everything(near, clock):
    """A clear takes every entry away, and what was asked for before it was answered does not come in."""
    read(near, clock)
    began = clock()
    with near.clearing():
        assert served(near) is None
        read(near, clock)
    read(near, clock, began=began)
    assert served(near) is None


def test_what_is_kept_stays_below_the_limit(near, clock):
    """Of more than there is room for the older part goes at once."""
    for number in range(100):
        read(near, clock, f"k{number}", "v" * 50_000)
    assert near.held_bytes <= 1_100_000
    assert served(near, "k99") and not served(near, "k0")


def test_a_large_value_is_refused(near, clock):
    """A value that would take most of the room is not kept, which is counted."""
    read(near, clock, value="v" * 500_000)
    assert served(near) is None and near.refused


def test_what_can_change_is_kept_as_bytes(near, clock):
    """A caller that changes what it was given changes nobody else's."""
    for _ in range(2):
        near.admit("k", clock(), PLANS, 1, b"pickled", {"a": 1})
    entry = near.find("k", clock(), PLANS, FOREVER)
    assert (entry.decoded, entry.value, entry.flags) == (False, b"pickled", 1)


def test_forgotten_after_two_turns(near, clock):
    """What is not read again takes no room for longer than twice `freshness`."""
    read(near, clock)
    for number in range(3):
        clock.advance(1.0)
        read(near, clock, f"other{number}")
    assert "k" not in near.young and "k" not in near.old


def test_a_write_is_remembered_as_long_as_a_read_from_before_it_may_come_in(near, clock):
    """A slow read that was asked for before a write was answered does not come in, however often the cache turns."""
    clock.advance(0.2)
    with near.writing(["k"]):
        pass
    asked = clock()
    clock.advance(0.1)
    read(near, clock, "other", began=asked - 0.2)
    clock.advance(0.2)
    read(near, clock, "other")
    clock.advance(0.1)
    read(near, clock, began=asked)
    assert served(near) is None


def test_what_was_written_is_forgotten(near, clock):
    """A process that only writes remembers what it has written lately, and no more."""
    for number in range(100):
        with near.writing([f"k{number}"]):
            clock.advance(0.1)
    assert len(near._written) + len(near._written_before) < 20


def test_where_nodes_are_far_away_a_key_comes_in_at_once(near, clock):
    """Keeping a value costs nothing beside a read that took a millisecond; where reads are quick it is read twice."""
    for number in range(30):
        began = clock()
        clock.advance(0.001)
        read(near, clock, f"far{number}", began=began)
    read(near, clock, "new", times=1)
    assert served(near, "new") == "v"
    for number in range(60):
        read(near, clock, f"close{number}")
    read(near, clock, "newer", times=1)
    assert served(near, "newer") is None


def test_what_is_used_is_read_again_with_other_keys(near, clock):
    """Where nodes are far away an entry that was served is told when it is due, once; another one is left to end."""
    for key in ("used", "unused"):
        began = clock()
        clock.advance(0.01)
        read(near, clock, key, began=began)
    assert served(near, "used") == "v"
    assert near.due(clock()) == []
    clock.advance(0.9)
    assert near.due(clock()) == ["used"] and near.due(clock()) == []
    assert served(near, "used") == "v"


def test_what_is_due_is_forgotten_where_no_caller_asks(near, clock):
    """Behind slow links, callers that never bring other keys along leave nothing that grows."""
    for number in range(2000):
        began = clock()
        clock.advance(0.01)
        read(near, clock, f"k{number}", began=began)
    assert len(near._due) < 1000


def test_what_is_never_there_is_forgotten(near, clock):
    """A key that no node has is marked as read for two turns at most, though nothing ever comes in."""
    assert not near.read_before("nothing")
    assert near.read_before("nothing")
    for _ in range(3):
        clock.advance(1.01)
        assert served(near, "another") is None
    assert not near.read_before("nothing")


def test_marks_of_many_turns(near, clock):
    """A key that is read once in every turn is known in each of them, however many there were."""
    near.read_before("often")
    for turn in range(600):
        clock.advance(1.01)
        assert served(near, "another") is None
        assert near.read_before("often"), turn
        assert not near.read_before(f"once {turn}")
