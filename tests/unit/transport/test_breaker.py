"""The breaker: when a node is left alone, and who may look whether it is back."""

import threading

import pytest

from django_dcache.testing import ManualClock
from django_dcache.transport.breaker import FAILURES, FIRST_PROBE, LAST_PROBE, LAST_PROBE_AWAITED, Breaker, State


@pytest.fixture
def clock():
    """Time stands still until it is moved."""
    return ManualClock()


@pytest.fixture
def breaker(clock):
    """A breaker without chance: probes come exactly when they are due."""
    return Breaker(clock, chance=lambda: 0.5)


def fail(breaker, times=FAILURES):
    for _ in range(times):
        breaker.failed()


def test_at_first(breaker, clock):
    """A node is up until something is known of it."""
    assert (breaker.state, breaker.since, breaker.admits()) == (State.UP, clock.now, True)


def test_suspicion(breaker):
    """A node that failed is suspect, and asked as ever."""
    fail(breaker, FAILURES - 1)
    assert breaker.state is State.SUSPECT and breaker.admits()


def test_down(breaker):
    """After three failures in a row a node is left alone."""
    fail(breaker)
    assert breaker.state is State.DOWN
    assert not any(breaker.admits() for _ in range(1000))


def test_only_failures_in_a_row_count(breaker):
    """A success between failures makes a node well again."""
    for _ in range(10):
        fail(breaker, FAILURES - 1)
        breaker.succeeded()
        assert breaker.state is State.UP


def test_absent(breaker):
    """A node where nothing listens is down at once."""
    breaker.failed(absent=True)
    assert breaker.state is State.DOWN and not breaker.admits()


def test_how_long_it_is_silent(breaker, clock):
    """A node that says nothing is silent since it went down; one where nothing listens has said so."""
    fail(breaker)
    clock.advance(0.2)
    assert breaker.silent_seconds == pytest.approx(0.2)
    breaker.failed(absent=True)
    assert breaker.silent_seconds == float("inf")


def test_one_probe_at_a_time(breaker, clock):
    """When a probe is due one caller gets through, and no other until that probe had its time."""
    fail(breaker)
    clock.advance(FIRST_PROBE)
    assert [breaker.admits() for _ in range(5)] == [True, False, False, False, False]


def test_probes_get_rarer(breaker, clock):
    """Each probe that comes to nothing doubles the pause, up to eight seconds."""
    fail(breaker)
    pauses = []
    for _ in range(8):
        before = clock.now
        while not breaker.admits():
            clock.advance(0.125)
        pauses.append(clock.now - before)
        breaker.failed()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0] and LAST_PROBE == 8.0


def test_a_pause_is_cut_short(clock):
    """A node of which it turns out that others reach it is probed within a second, however long its pause was to be."""
    awaited = []
    breaker = Breaker(clock, chance=lambda: 0.5, awaited=lambda: bool(awaited))
    fail(breaker)
    for _ in range(6):
        clock.advance(LAST_PROBE)
        assert breaker.admits()
    clock.advance(LAST_PROBE_AWAITED)
    assert breaker.refuses and not breaker.admits()
    awaited.append(True)
    assert not breaker.refuses and breaker.admits()
    assert not breaker.admits()


def test_a_probe_that_never_reports(breaker, clock):
    """A prober that was killed on the way does not keep the node down for ever."""
    fail(breaker)
    clock.advance(FIRST_PROBE)
    assert breaker.admits()
    clock.advance(2 * FIRST_PROBE)
    assert breaker.admits()


def test_chance_spreads_probes(clock):
    """Processes that saw a node fail together probe it between three and five quarters of the pause later."""
    for chance, share in ((0.0, 0.75), (1.0, 1.25)):
        breaker = Breaker(clock, chance=lambda chance=chance: chance)
        fail(breaker)
        due = clock.now + FIRST_PROBE * share
        clock.now = due - 0.001
        assert not breaker.admits()
        clock.now = due
        assert breaker.admits()


def test_recovery(breaker, clock):
    """A node that answers its probe is suspect, and up when it has answered again."""
    fail(breaker)
    clock.advance(FIRST_PROBE)
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.state is State.SUSPECT and breaker.admits()
    breaker.succeeded()
    assert breaker.state is State.UP


def test_relapse(breaker, clock):
    """A node that fails right after its probe is down again with the first failure."""
    fail(breaker)
    clock.advance(FIRST_PROBE)
    assert breaker.admits()
    breaker.succeeded()
    breaker.failed()
    assert breaker.state is State.DOWN


def test_probes_begin_anew(breaker, clock):
    """A node that was up in between is probed as soon as one that never failed before."""
    fail(breaker)
    for _ in range(4):
        clock.advance(LAST_PROBE)
        breaker.admits()
    breaker.succeeded()
    breaker.succeeded()
    fail(breaker)
    clock.advance(FIRST_PROBE)
    assert breaker.admits()


def two_breakers(clock):
    """Of the two nodes that a process speaks to."""
    siblings = []
    siblings += [Breaker(clock, lambda: 0.5, lambda: siblings) for _ in range(2)]
    return siblings


def test_the_process_was_cut_off(clock):
    """When one of several nodes that were down answers, the others are probed at once: it may have been the network."""
    first, second = two_breakers(clock)
    fail(first)
    fail(second)
    for _ in range(9):
        clock.advance(LAST_PROBE)
        assert first.admits() and second.admits()
    assert not second.admits()
    first.succeeded()
    assert second.admits() and not second.admits()


def after_many_probes(clock, breaker):
    """Seconds between two probes of a node that has been down for long."""
    for _ in range(9):
        clock.advance(LAST_PROBE)
        assert breaker.admits()
    before = clock.now
    while not breaker.admits():
        clock.advance(0.125)
    return clock.now - before


@pytest.mark.parametrize(("nodes_down", "most"), [(1, LAST_PROBE), (2, LAST_PROBE_AWAITED)])
def test_no_node_answers(clock, nodes_down, most):
    """While no node answers at all, probes are one second apart at most."""
    breakers = two_breakers(clock)
    for breaker in breakers[:nodes_down]:
        fail(breaker)
    assert after_many_probes(clock, breakers[0]) == most


def test_a_keeper_that_is_awaited(clock):
    """A node without which nothing can be proven is probed as often, however well the others are."""
    breaker = Breaker(clock, lambda: 0.5, awaited=lambda: True)
    fail(breaker)
    assert after_many_probes(clock, breaker) == LAST_PROBE_AWAITED


def test_since(breaker, clock):
    """`since` is the moment of the last change, not of the last failure."""
    clock.advance(1)
    breaker.failed()
    assert breaker.since == clock.now
    went_down = clock.advance(1)
    fail(breaker)
    clock.advance(1)
    breaker.failed()
    assert breaker.since == went_down


def test_failing_since(breaker, clock):
    """A node fails from its first failure on, whatever its state becomes, until it answers, if only a probe."""
    began = clock.advance(1)
    breaker.failed()
    clock.advance(1)
    fail(breaker)
    assert breaker.failing_since == began
    breaker.succeeded()
    assert breaker.failing_since is None and breaker.state is State.SUSPECT
    fail(breaker, 1)
    assert breaker.failing_since == clock.now


def test_vouched(breaker, clock):
    """A node that other processes reach is admitted without a probe, and down again with its next failure."""
    fail(breaker)
    breaker.vouched()
    assert breaker.failing_since is None and all(breaker.admits() for _ in range(5))
    fail(breaker, 1)
    assert not breaker.admits()
    clock.advance(FIRST_PROBE)
    breaker.succeeded()
    breaker.succeeded()
    breaker.vouched()
    assert breaker.state is State.UP


def test_one_probe_among_threads(breaker, clock):
    """Of many threads that come at once, one probes."""
    fail(breaker)
    clock.advance(FIRST_PROBE)
    start, admitted = threading.Barrier(8), []

    def come():
        start.wait()
        admitted.append(breaker.admits())

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(admitted) == [False] * 7 + [True]


def test_forked_while_in_use(breaker):
    """A child that was forked while another thread held the lock is not stopped by it."""
    with breaker._lock:
        breaker.after_fork()
        breaker.failed()
    assert breaker.state is State.SUSPECT
