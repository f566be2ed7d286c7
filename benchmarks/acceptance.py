"""What is asked of these figures: each ratio beside its bound."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import scenarios
from .backends import OURS, SPEED
from .site import site
from .table import BEST, BEST_HERE, Table

PYLIBMC = "PyLibMCCache (text, ketama)"
DISTINCT, ONE, MANY = "distinct keys", scenarios.ONE_KEY, scenarios.MANY_KEYS
RATE, TIMES = "A page", "The same"


class Bound(NamedTuple):
    """Ours over `other` in a column, at most; of rates, where more is better, at least."""

    table: str
    """A part of its title."""
    column: str
    other: str
    pure: float
    speed: float
    """The same with the compiled extra."""


BOUNDS = (
    Bound(DISTINCT, "get", PYLIBMC, 1.10, 1.00),
    Bound(DISTINCT, "set", PYLIBMC, 1.10, 1.00),
    Bound(DISTINCT, "get_many 100", PYLIBMC, 1.15, 0.60),
    Bound(ONE, "get_or_set hit", BEST, 1.00, 1.00),
    Bound(ONE, "has_key", BEST, 1.00, 1.00),
    Bound(ONE, "add, new", BEST, 1.00, 1.00),
    Bound(ONE, "add, existing", BEST, 1.00, 1.00),
    Bound(ONE, "touch", BEST, 1.00, 1.00),
    Bound(MANY, "get_many 1", PYLIBMC, 1.05, 1.00),
    Bound(MANY, "get_many 10", PYLIBMC, 1.05, 1.00),
    Bound(MANY, "set_many 1", PYLIBMC, 1.05, 1.00),
    Bound(MANY, "delete_many 1,000", BEST_HERE, 0.50, 0.50),
    Bound(ONE, "get", BEST, 0.91, 0.91),
    Bound(ONE, "set", BEST, 0.93, 0.93),
    Bound(MANY, "get_many 100", BEST, 0.82, 0.49),
    Bound(RATE, "requests/s", PYLIBMC, 1.05, 1.10),
    Bound(TIMES, "p99", PYLIBMC, 1.05, 1.05),
)


def acceptance(terms: scenarios.Terms) -> Iterator[Table]:
    """All that there is a bound for, and the bounds beside it."""
    tables = [*scenarios.standard(terms), *scenarios.distinct_keys(terms), *site(terms)]
    yield from tables
    yield judged(tables)


def judged(tables: Iterable[Table]) -> Table:
    """Each bound and what was measured, with a note of those that were not kept."""
    rows: dict[str, dict[str, float]] = {}
    missed = []
    for bound in BOUNDS:
        found = next((table for table in tables if bound.table in table.title and "CPU" not in table.title), None)
        if found is None:
            continue
        ratios, title = found.ratios(), found.title.partition(":")[0]
        row: dict[str, float] = {}
        for mine, words, most in ((OURS, "ours", bound.pure), (SPEED, "ours + speed", bound.speed)):
            ratio = ratios.get(f"{words} / {bound.other}", {}).get(bound.column)
            if mine in found.rows and ratio is not None:
                row |= {words: ratio, f"bound of {words}": most}
                if round(ratio, 2) < most if found.more_is_better else round(ratio, 2) > most:
                    missed.append(f"{bound.column} with {words} ({ratio:.2f})")
        if row:
            rows[f"{title}: {bound.column} / {bound.other}"] = row
    kept = sum(len(row) // 2 for row in rows.values()) - len(missed)
    notes = (f"{kept} bounds are kept, {len(missed)} are not{': ' if missed else ''}{'; '.join(missed)}.",)
    return Table("Ratios and their bounds", rows, notes=notes, ratios_only=True)
