"""What the checker of a drill says of histories that were made up."""

from dataclasses import replace

import pytest

from dcache_drill.checker import Bounds, check
from dcache_drill.ground_truth import Family, key_number
from dcache_drill.history import Kind, Outcome, write
from dcache_drill.schedule import Phase

BOUNDS = Bounds(stale=0.7, hold=0.9, latency=1.0, tags=0.5)
CALM = [Phase(0, "calm", 0.0, 100.0)]
REGISTER, COUNTER = key_number(Family.REGISTER, 1), key_number(Family.COUNTER, 2)
FIRST = (1 << 32) + (1 << 31)
"""The number with which the first life of a counter begins."""


@pytest.fixture
def judged(tmp_path):
    """The violations in a history of (kind, outcome, key, version, began, ended). `others`: what writer 2 did."""

    def judged(*records, phases=CALM, ill=(), writer=1, reader=1, bounds=BOUNDS, others=()):
        path, by = tmp_path / "history", {Kind.READ: reader}
        write(path, [(kind, outcome, by.get(kind, writer), *rest, 0, 1) for kind, outcome, *rest in records])
        theirs = path.with_name("theirs")
        write(theirs, [(kind, outcome, 2, *rest, 0, 1) for kind, outcome, *rest in others])
        return check([path, theirs], bounds, phases, ill).total

    return judged


def counted(number, began, ended, outcome=Outcome.OK):
    return (Kind.COUNT, outcome, COUNTER, FIRST + number if number else 0, began, ended)


def test_numbers_that_rise_are_right(judged):
    """A counter that hands out each number once, in the order of the calls, breaks nothing; nor does a failed call."""
    assert not judged(counted(1, 1, 2), counted(0, 2, 3), counted(2, 3, 4), counted(3, 3.5, 4.5))


def test_the_same_number_twice(judged):
    """A number that two callers were given is told once, though their calls overlapped."""
    assert judged(counted(1, 1, 3), counted(1, 2, 4)) == {"I6 counters": 1}


def test_a_number_below_one_that_was_handed_out(judged):
    """A number below one that another caller had before is told, within any bound of staleness."""
    assert judged(counted(1, 1, 1.1), counted(3, 1.2, 1.3), counted(2, 1.31, 1.4)) == {"I6 counters": 1}


def test_concurrent_callers_may_get_their_numbers_in_any_order(judged):
    """While two calls overlap, either of them may be given the lower number."""
    assert not judged(counted(2, 1, 3), counted(1, 2, 4))


@pytest.mark.parametrize("outcome", [Outcome.UNPROVEN, Outcome.UNKNOWN, Outcome.FAIL])
def test_numbers_count_whatever_their_process_could_prove(judged, outcome):
    """A process that can prove nothing may not hand out a number a second time either."""
    assert judged(counted(1, 1, 2), counted(1, 3, 4, outcome)) == {"I6 counters": 1}


def reads(count, began, version, key=REGISTER, seconds=0.4):
    step = seconds / count
    return [
        (Kind.READ, Outcome.OK, key, version, began + number * step, began + number * step + step / 2)
        for number in range(count)
    ]


STORED = (Kind.WRITE, Outcome.OK, REGISTER, 1, 1.0, 1.01)
HALF = [*reads(150, 2.0, 1), *reads(5, 2.41, 0, seconds=0.05)]
"""Half a second of reads, of which five miss."""


def test_reads_that_miss_what_is_there(judged):
    """More than one read of a hundred that misses what was stored and not removed, with all nodes well, is told."""
    assert judged(STORED, *HALF) == {"I12 availability": 1}


def test_a_few_reads_may_miss(judged):
    """One miss of a hundred is let pass, and so are four in half a second, which may be of one key."""
    assert not judged(STORED, *reads(150, 2.0, 1), *reads(4, 2.41, 0, seconds=0.05))
    assert not judged(STORED, *reads(1500, 2.0, 1), *reads(14, 2.41, 0, seconds=0.05))


def test_what_was_removed_may_be_missed(judged):
    """A miss after a delete, acknowledged or not, or of what was never stored, is no violation."""
    for outcome in (Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN):
        assert not judged(STORED, (Kind.REMOVE, outcome, REGISTER, 2, 2.405, 2.406), *HALF)
    assert not judged(*reads(155, 2.0, 0))


def test_what_is_kept_near_says_what_was_there(judged):
    """A read from a near cache after a delete proves nothing: what the others miss then is not there any more."""
    kept = [STORED, (Kind.REMOVE, Outcome.OK, REGISTER, 2, 1.9, 1.95), *HALF]
    assert judged(*kept, reader=2)["I12 availability"] == 1
    assert not judged(*kept, bounds=replace(BOUNDS, calm=0.5), reader=2)


def test_what_a_node_lost_may_be_missed(judged):
    """What was last seen before a node fell ill may be missing until it is seen again, however long that takes."""
    dead = [Phase(0, "kill", 0.0, 9.0, excused=True), Phase(1, "calm", 9.0, 100.0)]
    missed = [*reads(150, 20.0, 1, key=REGISTER + 200), *reads(5, 20.41, 0, seconds=0.05)]
    assert not judged(STORED, *missed, phases=dead)
    assert judged(STORED, *reads(1, 15.0, 1), *missed, phases=dead) == {"I12 availability": 1}


def test_what_a_fault_explains_may_be_missed(judged):
    """Reads while a node is ill, and reads of a worker that is, may miss; those of other workers may not."""
    assert not judged(STORED, *HALF, phases=[Phase(0, "kill", 0.0, 100.0, excused=True)])
    assert not judged(STORED, *HALF, phases=[Phase(0, "cut-off", 0.0, 100.0, ill=(1,))])
    assert judged(STORED, *HALF, phases=[Phase(0, "cut-off", 0.0, 100.0, ill=(2,))])


def test_a_node_that_did_not_answer_in_time_explains_misses(judged):
    """Half seconds in which the drill itself got no answer from a node are not judged, nor is what follows at once."""
    assert not judged(STORED, *HALF, ill=[(2.1, 2.2)])
    assert not judged(STORED, *HALF, ill=[(0.5, 0.6)])
    assert judged(STORED, *HALF, ill=[(3.0, 3.1)])


def test_writes_that_fail(judged):
    """More than three writes of ten that fail while all nodes are well are told; fewer are not."""

    def writes(outcome, count):
        return [(Kind.WRITE, outcome, REGISTER, n + 9, 2 + n / 200, 2.001 + n / 200) for n in range(count)]

    assert judged(*writes(Outcome.OK, 60), *writes(Outcome.FAIL, 26)) == {"I12 availability": 1}
    assert not judged(*writes(Outcome.OK, 60), *writes(Outcome.FAIL, 25))
    assert not judged(*writes(Outcome.OK, 20), *writes(Outcome.FAIL, 5))


def test_bumps_without_a_cause(judged):
    """Slots that are bumped while only processes stand still are told; not if a node was ill, or had been broken."""
    learned = [(Kind.LEARN, Outcome.OK, 0, bumps, 2.0 + bumps / 100, 2.0 + bumps / 100) for bumps in range(30)]
    stopped = [Phase(0, "calm", 0.0, 1.9), Phase(1, "worker-stutters + worker-frozen w1", 1.9, 5.0)]
    broken = [Phase(0, "calm", 0.0, 1.9), Phase(1, "worker-frozen w1 + late w2", 1.9, 5.0)]
    assert judged(*learned, phases=stopped) == {"I13 bumps": 1}
    assert not judged(*learned[:9], phases=stopped)
    assert not judged(*learned, phases=stopped, ill=[(2.0, 2.2)])
    assert not judged(*learned, phases=broken)


def test_a_stale_read(judged):
    """A read of what an acknowledged write had outdated is told; near a change of state, only beyond the bound."""
    newer = (Kind.WRITE, Outcome.OK, REGISTER, 2, 2.0, 2.1)
    old = (Kind.READ, Outcome.OK, REGISTER, 1, 2.2, 2.3)
    learned = (Kind.LEARN, Outcome.OK, 0, 0, 2.2, 2.2)
    assert judged(STORED, newer, old, reader=2) == {"I4 staleness": 1}
    assert not judged(STORED, newer, old, learned, reader=2)


ROW, TAGGED = key_number(Family.ROW, 1), key_number(Family.TAGGED, 1)


def changed_then_read(key, began):
    """A change that is acknowledged at 2.0, and a read of what was there before."""
    return (Kind.REMOVE, Outcome.OK, key, 2, 1.9, 2.0), (Kind.READ, Outcome.OK, key, 1, began, began + 0.01)


def test_what_was_invalidated_by_a_tag_may_be_read_for_freshness(judged):
    """A row whose tag was invalidated may be read for `freshness` by others, though nothing is in doubt; one without
    a tag may not be read at all."""
    assert not judged(*changed_then_read(TAGGED, 2.4), reader=2)
    assert judged(*changed_then_read(TAGGED, 2.6), reader=2) == {"I4 staleness": 1}
    assert judged(*changed_then_read(ROW, 2.1), reader=2) == {"I4 staleness": 1}


def test_what_a_process_has_written_itself(judged):
    """A process that reads what it has replaced itself is told of, within any bound of staleness."""
    assert judged(*changed_then_read(TAGGED, 2.4)) == {"I5 own writes": 1}
    assert judged((Kind.WRITE, Outcome.OK, REGISTER, 1, 1.0, 1.1), *changed_then_read(REGISTER, 2.4))["I5 own writes"]


def test_what_another_process_lost_may_come_late(judged):
    """What a process has written itself may be overwritten by a write of another one that was lost before."""
    own = changed_then_read(REGISTER, 2.4)
    lost = (Kind.WRITE, Outcome.OK, REGISTER, 1, 1.0, 1.8)
    assert "I5 own writes" in judged(lost, *own)
    assert "I5 own writes" not in judged(*own, others=[lost])


@pytest.mark.parametrize(
    ("family", "seconds", "slow"),
    [
        (Family.REGISTER, 0.99, False),
        (Family.REGISTER, 1.02, True),
        (Family.TAGGED, 1.79, False),
        (Family.TAGGED, 1.82, True),
    ],
)
def test_slow_calls(judged, family, seconds, slow):
    """Two in a thousand calls may not take longer than their operations may: those of a read with tags are several."""
    usual = [(Kind.READ, Outcome.OK, REGISTER, 0, 10 + n / 100, 10.001 + n / 100) for n in range(998)]
    long = [(Kind.READ, Outcome.OK, key_number(family, 3), 0, began, began + seconds) for began in (30, 40)]
    assert judged(*usual, *long) == ({"I10 latency": 1} if slow else {})


def test_a_machine_without_time_excuses_slow_calls(judged):
    """Calls may take longer by four times as much as a process that slept woke too late."""
    usual = [(Kind.READ, Outcome.OK, REGISTER, 0, 10 + n / 100, 10.001 + n / 100) for n in range(998)]
    long = [(Kind.READ, Outcome.OK, REGISTER, 0, began, began + 1.3) for began in (30, 40)]
    assert not judged(*usual, *long, (Kind.STALL, Outcome.OK, 0, 0, 50.0, 50.1))
    assert judged(*usual, *long, (Kind.STALL, Outcome.OK, 0, 0, 50.0, 50.06)) == {"I10 latency": 1}


def test_who_sleeps_is_not_slow(judged):
    """A call of a process that a fault stopped took as long as it slept; that of another one is slow."""
    usual = [(Kind.READ, Outcome.OK, REGISTER, 0, 10 + n / 100, 10.001 + n / 100) for n in range(998)]
    long = [(Kind.READ, Outcome.OK, REGISTER, 0, began, began + 5) for began in (30, 40)]
    asleep = [Phase(0, "far 0.004 s + rebalance-while-frozen +n4 -n3, w1 w13 asleep", 0.0, 100.0)]
    assert not judged(*usual, *long, phases=asleep)
    assert judged(*usual, *long, phases=asleep, reader=3) == {"I10 latency": 1}
