"""How many items a second `warm dump` writes and `warm load` stores: one core for them and their three nodes."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from dcache_manager.jobs.progress import Progress
from dcache_manager.snapshot.dump import Dump
from dcache_manager.snapshot.file import Reader, Writer
from dcache_manager.snapshot.format import Header
from dcache_manager.snapshot.load import Load
from dcache_manager.snapshot.resume_point import ResumePoint
from dcache_manager.throttle import Throttle
from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.write import write
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet

from .scenarios import Terms
from .table import Row, Table

ITEMS, BATCH, RUNS = 1_000_000, 500, 3
Result = TypeVar("Result")


def snapshot(terms: Terms) -> Iterator[Table]:
    """A million items of about 100 B into a file, and from there into an empty fleet."""
    rows = {f"{replicas} cop{'ies' if replicas > 1 else 'y'}": _measure(replicas) for replicas in (1, 2)}
    yield Table(
        f"Snapshot of {ITEMS:,} items of about 100 B: items per second",
        rows,
        True,
        ("With CPU: by the processor time of the command and its nodes, whatever else the machine is doing.",),
    )


def _measure(replicas: int) -> Row:
    best: Row = {}
    with LocalFleet(3, memory=1024) as nodes, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        options = {"replicas": replicas, "timeout": 1.0}  # a machine may be busy
        fleet = Fleet(parse("default", nodes.addresses, options))
        _fill(fleet)
        dumped, row = _timed(nodes, "dump", lambda: _dump(fleet, path))
        best |= row
        if dumped != ITEMS:
            raise SystemExit(f"{dumped} items of {ITEMS} were dumped")
        for _ in range(RUNS):
            for node in nodes.nodes:
                node.restart()
            fleet = Fleet(parse("default", nodes.addresses, options))
            stored, row = _timed(nodes, "load", lambda fleet=fleet: _load(fleet, path, Path(folder)))  # type: ignore[misc]
            best |= {column: max(figure, best.get(column, 0.0)) for column, figure in row.items()}
            if stored != ITEMS:
                raise SystemExit(f"{stored} items of {ITEMS} were stored")
    return best


def _timed(nodes: LocalFleet, name: str, call: Callable[[], Result]) -> tuple[Result, Row]:
    """The result, and items per second: on the clock, and of the processor time of all that took part."""
    clock, cpu = time.perf_counter(), time.process_time() + _seconds(nodes)
    result = call()
    seconds, cpu = time.perf_counter() - clock, time.process_time() + _seconds(nodes) - cpu
    return result, {name: ITEMS / seconds, f"{name}, CPU": ITEMS / cpu}


def _seconds(nodes: LocalFleet) -> float:
    """The processor time that the nodes have used."""
    return sum(float(node.stats()["rusage_user"]) + float(node.stats()["rusage_system"]) for node in nodes.nodes)


def _fill(fleet: Fleet) -> None:
    chance = random.Random(5)
    for start in range(0, ITEMS, BATCH):
        items = {b":1:item:%d" % n: _item(chance) for n in range(start, start + BATCH)}
        if not all(outcome.successful for outcome in fleet.run(write, items).values()):
            raise SystemExit("the items could not be stored")


def _item(chance: random.Random) -> Item:
    # Bytes that do not compress: the worst case.
    return Item(0, chance.randbytes(chance.randint(60, 140)), chance.randint(3600, 80_000))


def _dump(fleet: Fleet, path: Path) -> int:
    with Writer(path, Header("default", "default", time.time())) as writer:
        return Dump(fleet, writer, _pace(fleet), Progress("", ""), lambda: None).run().items


def _load(fleet: Fleet, path: Path, folder: Path) -> int:
    """The whole of what the command does: verifies, then stores."""
    with path.open("rb") as file:
        reader = Reader(file)
        reader.verify()
        mark = ResumePoint(folder / f"mark-{os.getpid()}")
        return Load(fleet, reader, mark, _pace(fleet), Progress("", ""), lambda: None).run().stored


def _pace(fleet: Fleet) -> Throttle:
    return Throttle(None, fleet.options.timeout / 5, fleet.clock, time.sleep)
