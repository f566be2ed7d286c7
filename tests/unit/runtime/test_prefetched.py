"""The memory of a request: what may be served of what was asked for at once, and until when."""

from types import SimpleNamespace

import pytest

from django_dcache.runtime import prefetched
from django_dcache.runtime.entries import Entry
from django_dcache.runtime.prefetched import MISSING, Prefetched
from django_dcache.testing import ManualClock

PLANS, OTHER_PLANS = SimpleNamespace(stable=True), SimpleNamespace(stable=True)
MOVING = SimpleNamespace(stable=False)
FOREVER = float("inf")


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def memory(clock):
    """That of a request on a fleet whose `freshness` is a second."""
    return Prefetched(1.0, clock)


def served(memory, key="k", plans=PLANS, proven_until=FOREVER):
    """What would be served now: bytes, MISSING, or None if the key has to be asked for."""
    entry = memory.find(key, plans, proven_until)
    return entry and entry.value


def test_what_was_asked_for_is_served(memory, clock):
    """A value and the lack of one are known; of another key nothing is."""
    memory.admit(clock(), PLANS, {"k": (16, b"v"), "absent": None})
    assert (served(memory), served(memory, "absent"), served(memory, "other")) == (b"v", MISSING, None)


def test_a_value_is_as_old_as_the_request_that_read_it(memory, clock):
    """It is served for `freshness` from the moment at which it was asked for, and not from that of the reply."""
    began = clock()
    clock.advance(0.4)
    memory.admit(began, PLANS, {"k": (16, b"v")})
    clock.advance(0.59)
    assert served(memory) == b"v"
    clock.advance(0.02)
    assert served(memory) is None


def test_other_plans_and_a_view_that_is_not_proven_end_it(memory, clock):
    """After a bump, an invalidation or a change of the topology, and without a proof, the nodes are asked."""
    memory.admit(clock(), PLANS, {"k": (16, b"v")})
    assert served(memory, plans=OTHER_PLANS) is None
    assert served(memory, proven_until=clock()) is None


@pytest.mark.parametrize(("plans", "seconds"), [(MOVING, 0.0), (PLANS, 0.6)])
def test_what_is_not_taken_in(memory, clock, plans, seconds):
    """What moves is not kept, nor what took long."""
    began = clock()
    clock.advance(seconds)
    memory.admit(began, plans, {"k": (16, b"v")})
    assert served(memory, plans=plans) is None


def test_a_write_drops_what_was_read(memory, clock):
    """A write takes the value away, and what was asked for before the write was answered does not come in."""
    began = clock()
    memory.admit(began, PLANS, {"k": (16, b"v")})
    with memory.writing(["k"]):
        assert served(memory) is None
    memory.admit(began, PLANS, {"k": (16, b"v")})
    memory.share("k", began, Entry("v", 16, True, PLANS, FOREVER))
    assert served(memory) is None
    clock.advance(0.001)
    memory.admit(clock(), PLANS, {"k": (16, b"new")})
    assert served(memory) == b"new"


def test_clearing_drops_everything(memory, clock):
    """A clear takes every value away, and what was asked for before it does not come in."""
    began = clock()
    memory.admit(began, PLANS, {"k": (16, b"v")})
    with memory.clearing():
        assert served(memory) is None
    memory.admit(began, PLANS, {"k": (16, b"v")})
    assert served(memory) is None


def test_a_watched_request(memory):
    """Of a request that is watched is known which keys it read, and by how many calls; not what it wrote first."""
    memory.reads = {}
    with memory.writing(["w"]):
        pass
    memory.begin(["a"])
    memory.begin(["b", "c"])
    memory.begin(["w", "a"])
    assert memory.reads == {"w": 0.0, "a": 1.0, "b": 0.5, "c": 0.5}


def test_what_is_expected_is_told_once(memory):
    """The first call of a request fetches what is expected; the next ones fetch nothing more."""
    memory.expected = lambda: ["x", "y"]
    assert [list(memory.begin(["a"])), list(memory.begin(["a"]))] == [["x", "y"], []]


def test_a_request_has_one_memory_a_fleet(clock):
    """Another fleet has another, and another request begins without one."""
    one, other = object(), object()
    first = prefetched.here(one, 1.0, clock)
    assert prefetched.here(one, 1.0, clock) is first is prefetched.of(one)
    assert prefetched.of(other) is None
    prefetched.forget()
    assert prefetched.of(one) is None
