"""What was seen, as lines for people and as one object for programs; and which promise it breaks. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .load_counters import EDGE, LoadSample

RESIZE_TOLERANCE = 0.03
"""How far the hit ratio may fall while keys move: a price that changes meanwhile is cached again only once its key has
arrived, which takes longer on a busy machine."""
LOST_TOLERANCE = 0.01
"""The part of the entries that may be lost: on a busy machine a reply comes too late now and then, and what lies in its
slot (1 of 256 of a node) is given up."""
OLD_TOLERANCE = 0.05
"""The part of the changed pages that the edge may show as they were: on a machine so busy that a response takes seconds
to the edge, it may arrive there after the last purge."""
DEAD_TOLERANCE = 0.1
"""How far the hit ratio may fall while one of four nodes is dead: each key has a second copy."""


@dataclass(frozen=True, slots=True)
class Results:
    """What the load saw before, during and after the resize; with a node dead, and `recovery` seconds after it was
    started again, empty; and from the first to the last of these moments."""

    before: LoadSample
    during: LoadSample
    after: LoadSample
    dead: LoadSample
    back: LoadSample
    recovery: float
    whole: LoadSample
    resize: dict[str, Any]
    """The item that `dcache-admin rebalance run --json` answers with."""
    nodes: list[dict[str, Any]]
    """The items that `dcache-admin status --json` answers with, once the resize is done."""
    epochs: tuple[int, int]
    entries: int
    """Stored beside the shop's own before the resize, for all of them to be looked for after it."""
    lost: int
    """Of those, not there any more, or changed."""
    crashed: int
    """Load processes that ended by themselves."""
    edge: str = ""
    """The address of the edge; empty if there was none."""

    @property
    def moving_rate(self) -> float:
        """Keys a second, while the mover moved."""
        return self.resize["moved"] / self.resize["moving_seconds"] if self.resize["moving_seconds"] else 0.0

    @property
    def broken(self) -> list[str]:
        """What must not be, and is."""
        promises = {
            f"{self.whole.stale} answers were older than an acknowledged change": self.whole.stale,
            f"{self.whole.errors} requests failed": self.whole.errors,
            f"{self.lost} of {self.entries} entries were lost in the resize": self.lost > LOST_TOLERANCE * self.entries,
            f"{self.whole.old} of {self.whole.changed} pages at the edge were old 10 s after a change": (
                self.whole.old > OLD_TOLERANCE * self.whole.changed
            ),
            f"{self.crashed} load processes ended by themselves": self.crashed,
            "no key was moved": not self.resize["moved"],
            "the load read nothing": not all(part.reads for part in (self.before, self.during, self.after, self.dead)),
        }
        for name, part in (("during", self.during), ("after", self.after)):
            fall = self.before.hit_ratio - part.hit_ratio
            promises[f"the hit ratio fell by {100 * fall:.1f} points {name} the resize"] = fall > RESIZE_TOLERANCE
        fall = self.after.hit_ratio - self.dead.hit_ratio
        promises[f"the hit ratio fell by {100 * fall:.1f} points without the dead node"] = fall > DEAD_TOLERANCE
        return [promise for promise, is_broken in promises.items() if is_broken]

    def lines(self) -> Iterator[tuple[str, str]]:
        """(what, how much), for people."""
        before, during, after = (percent(part.hit_ratio) for part in (self.before, self.during, self.after))
        yield "hit ratio", f"{before} before, {during} during, {after} after the resize"
        yield (
            "slowest 1 %",
            ", ".join(
                f"{1000 * part.slowest():.0f} ms {name}"
                for name, part in (("before", self.before), ("during", self.during), ("after", self.after))
            ),
        )
        yield "stale reads", f"{self.whole.stale} of {self.whole.reads:,}"
        if self.edge:
            yield (
                "edge",
                f"{self.whole.late} of {self.whole.changed:,} pages were old a second after a change of the price; "
                f"{self.whole.kept:,} of {self.whole.pages:,} came from Varnish alone",
            )
        else:
            yield "edge", "none"
        yield "HTTP errors", f"{self.whole.errors} of {self.whole.requests:,}"
        yield "requests", f"{self.whole.rate:,.0f} a second, {self.whole.writes:,} changes of a price among them"
        yield "keys moved", f"{self.resize['moved']:,} at {self.moving_rate:,.0f} keys/s"
        yield (
            "moved by",
            f"{self.resize['runner']} workers, as {self.resize['steps']} steps of job {self.resize['job']}",
        )
        yield "keys lost", f"{self.lost} of {self.entries:,}"
        yield "epochs", f"{self.epochs[0]} to {self.epochs[1]}, in {self.during.seconds:.1f} s"
        yield "share per node", ", ".join(f"{node['name']} {percent(node['owns'])}" for node in self.nodes)
        yield (
            "a dead node",
            f"{self.dead.errors} HTTP errors, hit ratio {percent(self.dead.hit_ratio)} without it, "
            f"{percent(self.back.hit_ratio)} {self.recovery:.0f} s after it was back, empty",
        )

    def to_json(self) -> dict[str, Any]:
        parts = ("before", "during", "after", "dead", "back")
        tallies = {name: getattr(self, name) for name in parts}
        return {
            "hit_ratio": {name: round(part.hit_ratio, 4) for name, part in tallies.items()},
            "slowest_percent_ms": {name: round(1000 * part.slowest(), 1) for name, part in tallies.items()},
            "stale_reads": self.whole.stale,
            "edge": {name: getattr(self.whole, name) for name in EDGE} if self.edge else None,
            "http_errors": self.whole.errors,
            "reads": self.whole.reads,
            "writes": self.whole.writes,
            "requests": self.whole.requests,
            "requests_per_second": round(self.whole.rate, 1),
            "keys_moved": self.resize["moved"],
            "bytes_moved": self.resize["bytes"],
            "keys_per_second": round(self.moving_rate, 1),
            "runner": self.resize["runner"],
            "steps": self.resize["steps"],
            "keys_lost": self.lost,
            "resize_seconds": round(self.during.seconds, 1),
            "epochs": list(self.epochs),
            "recovery_seconds": round(self.recovery, 1),
            "share": {node["name"]: round(node["owns"], 4) for node in self.nodes},
        }


def percent(part: float) -> str:
    return f"{100 * part:.1f} %"
