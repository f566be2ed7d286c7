"""What the demo counts, and what it makes of it."""

from dataclasses import replace

import pytest

from dcache_manager.demo import entries
from dcache_manager.demo.board import COUNTS, SCALE, Board, Tally
from dcache_manager.demo.facts import Facts

GOOD = Tally(
    seconds=5.0, requests=1100, hits=990, misses=10, writes=5, stale=0, errors=0, warm=4, times=(0,) * len(SCALE)
)
FACTS = Facts(
    before=GOOD,
    during=GOOD,
    after=GOOD,
    dead=GOOD._replace(hits=750, misses=250),
    back=GOOD,
    recovery=4.0,
    whole=GOOD,
    resize={
        "job": "ab12",
        "runner": "celery",
        "steps": 12,
        "moved": 5000,
        "bytes": 15_000_000,
        "moving_seconds": 0.5,
    },
    nodes=[{"name": "127.0.0.1:40001", "owns": 0.25}],
    epochs=(1, 6),
    entries=20_000,
    lost=0,
    crashed=0,
)


@pytest.fixture
def board(tmp_path):
    """A board for two load processes."""
    return Board(tmp_path / "board", products=10, processes=2)


def count(board, process, **counts):
    for name, number in counts.items():
        board.row(process)[COUNTS.index(name)] += number


def test_board_is_shared(board):
    """What one process writes on the board, another that opens it sees, and opening it changes nothing."""
    board.floors[10] = 7
    count(board, 1, hits=3)
    other = Board(board.path, products=10, processes=2)
    assert other.floors[10] == 7
    assert other.tally().hits == 3


def test_numbers_do_not_overlap(board):
    """The revisions and the rows of all processes are apart."""
    board.floors[10] = 1
    count(board, 0, requests=2)
    board.row(0)[len(COUNTS) + len(SCALE) - 1] = 4
    count(board, 1, requests=8)
    assert list(board.floors) == [0] * 10 + [1]
    assert (board.tally().requests, board.tally().times[-1]) == (10, 4)


def test_tallies_subtract(board):
    """The difference of two tallies is what happened between them."""
    count(board, 0, hits=1, misses=1)
    before = board.tally()
    count(board, 1, hits=3, misses=1)
    seen = board.tally().since(before)
    assert (seen.hits, seen.misses, seen.hit_ratio) == (3, 1, 0.75)
    assert seen.seconds > 0


def test_slowest():
    """Of a hundred answers one may take longer than the slowest percent is said to take."""
    times = [0] * len(SCALE)
    times[3], times[20] = 99, 1
    assert GOOD._replace(times=tuple(times)).slowest(0.02) == SCALE[3]
    assert GOOD._replace(times=tuple(times)).slowest(0.005) == SCALE[20]


def test_good_facts_break_nothing():
    """A dead node may cost hits; nothing else was lost here."""
    assert FACTS.broken == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"whole": GOOD._replace(stale=1)}, "1 answers were older"),
        ({"whole": GOOD._replace(errors=2)}, "2 requests failed"),
        ({"during": GOOD._replace(hits=970, misses=30)}, "fell by 2.0 points during"),
        ({"after": GOOD._replace(hits=970, misses=30)}, "fell by 2.0 points after"),
        ({"lost": 201}, "201 of 20000 entries"),
        ({"crashed": 1}, "1 load processes ended"),
        ({"resize": {"moved": 0, "bytes": 0, "moving_seconds": 0.0}}, "no key was moved"),
        ({"during": GOOD._replace(hits=0, misses=0)}, "nobody asked"),
    ],
)
def test_broken_promises(change, complaint):
    """Whatever the demo promises and does not keep is told."""
    assert any(complaint in promise for promise in replace(FACTS, **change).broken)


def test_a_line_for_each_fact():
    """People are told what programs are told."""
    lines = dict(FACTS.lines())
    assert lines["hit ratio"] == "99.0 % before, 99.0 % during, 99.0 % after the resize"
    assert lines["stale reads"] == "0 of 1,000"
    assert lines["keys moved"] == "5,000 at 10,000 keys/s"
    assert lines["moved by"] == "celery workers, as 12 steps of job ab12"
    assert lines["share per node"] == "127.0.0.1:40001 25.0 %"
    document = FACTS.to_json()
    assert document["hit_ratio"] == {"before": 0.99, "during": 0.99, "after": 0.99, "dead": 0.75, "back": 0.99}
    assert (document["keys_per_second"], document["share"]) == (10_000, {"127.0.0.1:40001": 0.25})


def test_entries_can_be_told_apart():
    """No entry is the beginning of another, and their sizes are what the demo says."""
    values = [entries.value(number) for number in range(300)]
    sizes = sorted(map(len, values))
    assert sizes[0] >= entries.SMALLEST and sizes[-1] <= entries.LARGEST and sizes[-1] > 50 * sizes[0]
    assert len({value[: entries.SMALLEST] for value in values}) == len(values)
