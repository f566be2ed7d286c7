"""Figures in rows and columns, and how ours relate to the best of the others."""

from dataclasses import dataclass, field

from .backends import FLOOR, ONE_NODE, OURS, PREFETCH, SPEED

BEST, BEST_HERE = "best peer", "best peer on these nodes"
_MINE = {OURS: "ours", SPEED: "ours + speed"}

Row = dict[str, float]
"""{column: figure}; a column that a row lacks does not apply to it."""


@dataclass(frozen=True)
class Table:
    """`rows` by the name of the competitor. `more_is_better`: the figures are rates, not times."""

    title: str
    rows: dict[str, Row]
    more_is_better: bool = False
    notes: tuple[str, ...] = field(default=())
    ratios_only: bool = False
    """Whether the figures themselves are ratios."""

    @property
    def columns(self) -> list[str]:
        widest = max(self.rows.values(), key=len, default={})
        return list(widest)

    def ratios(self) -> dict[str, Row]:
        """Ours over theirs: over the best of each column, and over the peers that most sites have on such nodes."""
        mine = {words: self.rows[name] for name, words in _MINE.items() if name in self.rows}
        peers = {
            name: row
            for name, row in self.rows.items()
            if name not in (*_MINE, FLOOR.name) and not name.endswith(PREFETCH)
        }
        if not mine or not peers:
            return {}
        sharded = {name: row for name, row in peers.items() if not name.endswith(ONE_NODE)}
        others = {BEST: self._best(peers), BEST_HERE: self._best(sharded)}
        usual = ("PyLibMC", "PyMemcache") if sharded else ("django-redis",)
        others |= {name: row for name, row in peers.items() if name.startswith(usual)}
        return {
            f"{words} / {name}": {column: own[column] / row[column] for column in own if row.get(column)}
            for words, own in mine.items()
            for name, row in others.items()
            if row
        }

    def _best(self, peers: dict[str, Row]) -> Row:
        choose = max if self.more_is_better else min
        columns = {column: [row[column] for row in peers.values() if column in row] for column in self.columns}
        return {column: choose(figures) for column, figures in columns.items() if figures}
