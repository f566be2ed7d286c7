"""dcache-admin status"""

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from ..exit_codes import Exit, NothingReachable
from ..options import Choices, Verb, pass_choices

if TYPE_CHECKING:
    from ...inspection.target import Target
    from ..output import Answer, Column


@click.command("status", cls=Verb)
@click.option("--watch", is_flag=True, help="Look again and again, until interrupted.")
@click.option(
    "--every", type=click.FloatRange(0.05), default=2.0, show_default=True, metavar="SECONDS", help="How often to look."
)
@pass_choices
def command(choices: Choices, watch: bool, every: float) -> int:
    """One row per node: state, share, memory, hits.

    A node is up, joining, leaving or out; suspect if it answered only in part, down if not at all. With --watch and
    --json there is one object a line.
    """
    from ...inspection.target import find
    from ..output import write

    target = find(choices)
    if watch:
        _watch(choices, target, every)
    answer, code = _look(choices, target)
    write(answer, _columns(), choices)
    return code


def _look(choices: Choices, target: "Target") -> "tuple[Answer, Exit]":
    from ...inspection.fleet_report import look
    from ..output import Answer

    sighting = look(target, choices.timeout)
    rows, topology = sighting.rows(), sighting.topology
    up = sum(row["state"] not in ("down", "suspect", "out") for row in rows)
    where = f"epoch {topology.epoch}, {topology.phase}" if sighting.planted else "not planted yet"
    answer = Answer.about(sighting, "status", rows, f"{target.alias}: {where}, {up} of {len(rows)} nodes up")
    return answer, Exit.PARTIAL if answer.errors else Exit.OK


def _watch(choices: Choices, target: "Target", every: float) -> None:
    """Never returns."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from ..output import Answer, table, telling, write

    terminal = sys.stdout.isatty() and not choices.json
    with Live(auto_refresh=False) if terminal else nullcontext() as live:
        while True:
            try:
                answer, _ = _look(choices, target)
            except NothingReachable as error:
                answer = Answer("status", [], [{"error": type(error).__name__, "message": str(error)}], target.alias)
            if live:
                troubles = [Text(error["message"], "red") for error in answer.errors]
                live.update(
                    Group(answer.title, table(answer.items, telling(answer.items, _columns())), *troubles), refresh=True
                )
            else:
                write(answer, _columns(), choices)
                sys.stdout.flush()
            time.sleep(every)


def _columns() -> "list[Column]":
    from ..output import Column, age, count, share, size

    return [
        Column("state", "STATE"),
        Column("name", "NAME"),
        Column("address", "ADDRESS"),
        Column("zone", "ZONE"),
        Column("weight", "WEIGHT", right=True),
        Column("owns", "OWNS", share, right=True),
        Column("items", "ITEMS", count, right=True),
        Column("bytes", "USED", size, right=True),
        Column("limit_bytes", "OF", size, right=True),
        Column("hit_ratio", "HITS", share, right=True),
        Column("evictions", "EVICTED", count, right=True),
        Column("connections", "CONNS", count, right=True),
        Column("since", "FOR", age, right=True),
        Column("version", "VERSION"),
    ]
