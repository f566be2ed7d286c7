"""What the demo counts, and what it makes of it."""

import random
import time
from dataclasses import replace

import pytest

from dcache_manager.demo import entries
from dcache_manager.demo.load import LATE, OLD, Changed, Load
from dcache_manager.demo.load_counters import COUNTS, SCALE, LoadCounters, LoadSample
from dcache_manager.demo.results import Results

GOOD = LoadSample(
    **dict.fromkeys(LoadSample._fields, 0)
    | {"seconds": 5.0, "requests": 1100, "hits": 990, "misses": 10, "writes": 5, "warm": 4, "times": (0,) * len(SCALE)}
)
RESULTS = Results(
    before=GOOD,
    during=GOOD,
    after=GOOD,
    dead=GOOD._replace(hits=950, misses=50),
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
def counters(tmp_path):
    """The counters of two load processes."""
    return LoadCounters(tmp_path / "counters", products=10, processes=2)


def count(counters, process, **counts):
    for name, number in counts.items():
        counters.row(process)[COUNTS.index(name)] += number


def test_counters_are_shared(counters):
    """What one process counts, another that opens the counters sees, and opening them changes nothing."""
    counters.floors[10] = 7
    count(counters, 1, hits=3)
    other = LoadCounters(counters.path, products=10, processes=2)
    assert other.floors[10] == 7
    assert other.sample().hits == 3


def test_numbers_do_not_overlap(counters):
    """The revisions and the rows of all processes are apart."""
    counters.floors[10] = 1
    count(counters, 0, requests=2)
    counters.row(0)[len(COUNTS) + len(SCALE) - 1] = 4
    count(counters, 1, requests=8)
    assert list(counters.floors) == [0] * 10 + [1]
    assert (counters.sample().requests, counters.sample().times[-1]) == (10, 4)


def test_samples_subtract(counters):
    """The difference of two samples is what happened between them."""
    count(counters, 0, hits=1, misses=1)
    before = counters.sample()
    count(counters, 1, hits=3, misses=1)
    seen = counters.sample().since(before)
    assert (seen.hits, seen.misses, seen.hit_ratio) == (3, 1, 0.75)
    assert seen.seconds > 0


def test_slowest():
    """Of a hundred answers one may take longer than the slowest percent is said to take."""
    times = [0] * len(SCALE)
    times[3], times[20] = 99, 1
    assert GOOD._replace(times=tuple(times)).slowest(0.02) == SCALE[3]
    assert GOOD._replace(times=tuple(times)).slowest(0.005) == SCALE[20]


def test_good_results_break_nothing():
    """A dead node may cost a few hits; nothing else was lost here."""
    assert RESULTS.broken == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"whole": GOOD._replace(stale=1)}, "1 answers were older"),
        ({"whole": GOOD._replace(errors=2)}, "2 requests failed"),
        ({"during": GOOD._replace(hits=950, misses=50)}, "fell by 4.0 points during"),
        ({"after": GOOD._replace(hits=950, misses=50)}, "fell by 4.0 points after"),
        ({"dead": GOOD._replace(hits=880, misses=120)}, "fell by 11.0 points without"),
        ({"whole": GOOD._replace(changed=50, old=3)}, "3 of 50 pages at the edge were old"),
        ({"lost": 201}, "201 of 20000 entries"),
        ({"crashed": 1}, "1 load processes ended"),
        ({"resize": {"moved": 0, "bytes": 0, "moving_seconds": 0.0}}, "no key was moved"),
        ({"during": GOOD._replace(hits=0, misses=0)}, "read nothing"),
    ],
)
def test_broken_promises(change, complaint):
    """Whatever the demo promises and does not keep is told."""
    assert any(complaint in promise for promise in replace(RESULTS, **change).broken)


def test_a_line_for_each_result():
    """People are told what programs are told."""
    lines = dict(RESULTS.lines())
    assert lines["hit ratio"] == "99.0 % before, 99.0 % during, 99.0 % after the resize"
    assert lines["stale reads"] == "0 of 1,000"
    assert lines["keys moved"] == "5,000 at 10,000 keys/s"
    assert lines["moved by"] == "celery workers, as 12 steps of job ab12"
    assert lines["share per node"] == "127.0.0.1:40001 25.0 %"
    assert lines["edge"] == "none"
    document = RESULTS.to_json()
    assert document["hit_ratio"] == {"before": 0.99, "during": 0.99, "after": 0.99, "dead": 0.95, "back": 0.99}
    assert (document["keys_per_second"], document["share"]) == (10_000, {"127.0.0.1:40001": 0.25})


def test_an_edge_is_counted():
    """With an edge the results say how many pages it kept, and how many of those that changed were old."""
    seen = GOOD._replace(pages=1000, kept=900, changed=50, late=1)
    results = replace(RESULTS, edge="http://127.0.0.1:6081", whole=seen)
    assert dict(results.lines())["edge"].startswith(
        "1 of 50 pages were old a second after a change of the price; 900 of"
    )
    assert results.to_json()["edge"] == {"pages": 1000, "kept": 900, "changed": 50, "late": 1, "old": 0}
    assert RESULTS.to_json()["edge"] is None and results.broken == []


class Pages:
    """An edge that shows these revisions, one after the other."""

    def __init__(self, *revisions):
        self.revisions = list(revisions)

    def ask(self, method, path, body=None):
        return {"X-Varnish": "2 1"}, b'<p data-revision="%d">' % self.revisions.pop(0)


@pytest.mark.parametrize(
    ("shown", "since", "expected"),
    [(7, LATE, (1, 0, 0)), (8, LATE, (1, 0, 0)), (6, LATE, (1, 1, 0)), (6, OLD + LATE, (0, 0, 1)), (7, OLD, (0, 0, 0))],
)
def test_pages_are_looked_at_again(counters, shown, since, expected):
    """A page that shows what it was before a change is late after a second, and old after ten."""
    load = Load("http://127.0.0.1:1", "http://127.0.0.1:2", counters, 0, random.Random(1))
    load._edge = Pages(shown)
    began = time.monotonic() - since
    load._look_again(Changed(began + LATE if since == LATE else began + since, product=1, revision=7, since=began))
    seen = counters.sample()
    assert (seen.changed, seen.late, seen.old) == expected
    assert len(load._changed) == (shown < 7 and since < OLD)
    assert (seen.pages, seen.kept) == (1, 1)


def test_entries_can_be_told_apart():
    """No entry is the beginning of another, and their sizes are what the demo says."""
    values = [entries.value(number) for number in range(300)]
    sizes = sorted(map(len, values))
    assert sizes[0] >= entries.SMALLEST and sizes[-1] <= entries.LARGEST and sizes[-1] > 50 * sizes[0]
    assert len({value[: entries.SMALLEST] for value in values}) == len(values)
