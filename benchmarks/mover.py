"""How many keys of 200 bytes the mover moves in a second, on one core with the four nodes it moves between."""

import time
from collections.abc import Iterator
from typing import Any

from dcache_manager.jobs.journal import NoJournal
from dcache_manager.rebalance.conductor import Conductor
from dcache_manager.rebalance.plan import edit
from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.write import write
from django_dcache.model.topology import Node
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet

from .scenarios import Terms
from .table import Table

KEYS, VALUE_BYTES, BATCH, RUNS = 60_000, 200, 500, 3


def mover(terms: Terms) -> Iterator[Table]:
    """A fourth node joins three: how many keys are moved a second."""
    runs = [_run() for _ in range(RUNS)]
    best = {column: max(run[column] for run in runs) for column in runs[0]}
    yield Table(f"{KEYS:,} keys of {VALUE_BYTES} B, a fourth node joins three: keys per second", {"mover": best}, True)


def _run() -> dict[str, float]:
    with LocalFleet(3, memory=256) as nodes:
        fleet = Fleet(parse("default", nodes.addresses, {"freshness": 0.3}))
        _fill(fleet)
        layout = edit(fleet.view.state.topology.layout, add=[Node.at(nodes.add().address)])
        watch = Stopwatch()
        done = Conductor(fleet, watch).run(layout)
        copying = watch.published["flip"] - watch.published["copy"] - fleet.view.hold
    return {"carried": done.rate, "listed and carried (phase copy)": done.moved / copying}


class Stopwatch(NoJournal):
    """A journal that only remembers when each phase was published."""

    def __init__(self) -> None:
        self.published: dict[str, float] = {}

    def record(self, event: str, progress: Any, **details: Any) -> None:
        if event == "published":
            self.published[progress.phase] = time.perf_counter()


def _fill(fleet: Fleet) -> None:
    names = [b":1:item:%d" % number for number in range(KEYS)]
    for start in range(0, KEYS, BATCH):
        items = {name: Item(0, bytes(VALUE_BYTES), 3600) for name in names[start : start + BATCH]}
        outcomes = fleet.run(write, items)
        if not all(outcome.successful for outcome in outcomes.values()):
            raise SystemExit("the keys to be moved could not be stored")
