"""Figures of a benchmark beside their bounds."""

import pytest

from benchmarks.acceptance import BOUNDS, DISTINCT, MANY, ONE, PYLIBMC, judged
from benchmarks.backends import OURS, PREFETCH, SPEED
from benchmarks.distinct import operations
from benchmarks.operations import MANY_KEYS, ONE_KEY
from benchmarks.table import Table

GET = "get_many 1"


def table(ours, with_speed, peer):
    return Table(f"{MANY}: µs per call", {PYLIBMC: {GET: peer}, OURS: {GET: ours}, SPEED: {GET: with_speed}})


def test_every_bound_is_of_something_that_is_measured():
    """Each bound names a column that its scenario has."""
    columns = {
        DISTINCT: {operation.name for operation in operations(1)},
        ONE: {operation.name for operation in ONE_KEY},
        MANY: {operation.name for operation in MANY_KEYS},
        "A page": {"requests/s"},
        "The same": {"p50", "p99"},
    }
    assert all(bound.column in columns[bound.table] for bound in BOUNDS)


@pytest.mark.parametrize(
    ("ours", "with_speed", "verdict"),
    [
        (10.5, 10.0, "2 bounds are kept, 0 are not."),
        (10.6, 10.0, "1 bounds are kept, 1 are not: get_many 1 with ours (1.06)."),
        (10.6, 10.1, "0 bounds are kept, 2 are not: get_many 1 with ours (1.06); get_many 1 with ours + speed (1.01)."),
    ],
)
def test_what_is_beyond_its_bound_is_told(ours, with_speed, verdict):
    """A ratio beyond its bound is named, pure and with the extra; one on its bound is kept."""
    found = judged([table(ours, with_speed, 10.0)])
    assert found.notes == (verdict,)
    (row,) = found.rows.values()
    assert row == {
        "ours": ours / 10,
        "bound of ours": 1.05,
        "ours + speed": with_speed / 10,
        "bound of ours + speed": 1.0,
    }


def test_of_rates_more_is_better():
    """A rate below its bound is named, one above it is not."""
    page = Table(
        "A page, somewhere", {PYLIBMC: {"requests/s": 100.0}, OURS: {"requests/s": 104.0}}, more_is_better=True
    )
    assert judged([page]).notes == ("0 bounds are kept, 1 are not: requests/s with ours (1.04).",)


def test_a_page_with_prefetch_is_no_rival():
    """Ours with the middleware has a row, and is in no ratio."""
    rows = {PYLIBMC: {"requests/s": 100.0}, OURS: {"requests/s": 105.0}}
    more = {f"{OURS}{PREFETCH}": {"requests/s": 200.0}}
    assert Table("A page", {**rows, **more}, True).ratios() == Table("A page", rows, True).ratios()


def test_each_key_comes_once():
    """Get, set and get_many of distinct keys ask for every key once before any comes again."""

    class Cache:
        def __init__(self):
            self.asked = []

        def get(self, key):
            self.asked.append(key)

        def set(self, key, value, timeout):
            self.asked.append(key)

        def get_many(self, keys):
            self.asked += keys
            return {}

    for operation in operations(1000)[:3]:
        cache = Cache()
        call = operation.bind(cache)
        while len(cache.asked) < 1000:
            call()
        assert len(set(cache.asked)) == 1000
