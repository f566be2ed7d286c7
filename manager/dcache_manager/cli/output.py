"""One answer, as a table for people or as an object for programs: the same rows. Only answers go to stdout."""

import json
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..formatting import printable
from .options import Choices

EMPTY_CELL = "–"

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..inspection.fleet_report import FleetReport


@dataclass(slots=True)
class Answer:
    """What a command found out. `errors` have at least "error" (the name of an exception) and "message"."""

    subject: str
    """The schema is dcache.SUBJECT/v1: fields may be added to it, never removed or changed."""
    items: list[dict[str, Any]]
    errors: list[dict[str, Any]] = field(default_factory=list)
    alias: str | None = None
    epoch: int | None = None
    phase: str | None = None
    title: str = ""
    """For people, above the table."""
    more: dict[str, Any] = field(default_factory=dict)
    """Facts about all items, printed once."""
    next_steps: list[str] = field(default_factory=list)
    """What to do now, for people, below the table."""

    @classmethod
    def about(cls, seen: "FleetReport", subject: str, items: list[dict[str, Any]], title: str = "") -> "Answer":
        """An answer that rests on a look at the fleet, with what was wrong with that look."""
        topology = seen.topology
        return cls(subject, items, seen.errors(), seen.alias, topology.epoch, str(topology.phase), title)

    def envelope(self, now: datetime | None = None) -> dict[str, Any]:
        return {
            "schema": f"dcache.{self.subject}/v1",
            "alias": self.alias,
            "epoch": self.epoch,
            "phase": self.phase,
            "generated_at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "items": self.items,
            "errors": self.errors,
            **self.more,
        }


class Column(NamedTuple):
    """How one field of the items is shown to people."""

    field: str
    heading: str
    show: Callable[[Any], str] = str
    right: bool = False
    drop: int = 0
    """Where a terminal is too narrow for all, columns with the highest number are left out first; 0: never."""


def write(answer: Answer, columns: Sequence[Column], choices: Choices, errors: bool = True) -> None:
    """The answer on stdout; its errors for people on stderr, unless the table tells them already."""
    if choices.json:
        click.echo(encode(answer.envelope()))
        return
    for line in answer.title.splitlines():
        click.echo(printable(line))
    if answer.items and columns:
        _print(answer.items, columns)
    for line in answer.next_steps:
        click.echo(_fitted(printable(line)))
    for error in answer.errors if errors else ():
        click.echo(f"{error['error']}: {printable(error['message'])}", err=True)


def _fitted(line: str) -> str:
    """On a terminal, cut into lines between words."""
    if not sys.stdout.isatty():
        return line
    return textwrap.fill(line, get_terminal_size().columns, subsequent_indent="  ", break_on_hyphens=False)


def encode(envelope: dict[str, Any]) -> str:
    """JSON on one line, in which no control character is left as it is."""
    return json.dumps(envelope).replace("\x7f", "\\u007f")


def table(items: Sequence[dict[str, Any]], columns: Sequence[Column]) -> "RenderableType":
    """The items as a table without rules, which `awk` and people read alike."""
    from rich.table import Table  # Late: with --json it is not needed.
    from rich.text import Text

    found = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        found.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
    for item in items:
        # Text, not markup: node names and keys may hold square brackets.
        found.add_row(*(Text(cell(column, item), style=_style(column, item)) for column in columns))
    return found


def cell(column: Column, item: dict[str, Any]) -> str:
    value = item.get(column.field)
    return EMPTY_CELL if value is None or value == "" or value == [] else printable(column.show(value))


def _style(column: Column, item: dict[str, Any]) -> str:
    if column.field not in ("state", "verdict"):
        return ""
    return {"up": "green", "ok": "green", "down": "red", "fail": "red"}.get(str(item.get(column.field)), "yellow")


def telling(items: Sequence[dict[str, Any]], columns: Sequence[Column]) -> list[Column]:
    """The columns that say something, for a screen: not those that are empty or repeat the one before."""
    found: list[Column] = []
    before: list[str] = []
    for column in columns:
        said = [cell(column, item) for item in items]
        if said != before and any(text != EMPTY_CELL for text in said):
            found.append(column)
        before = said
    return found


def fitting(items: Sequence[dict[str, Any]], columns: Sequence[Column], width: int) -> list[Column]:
    """The columns for which a terminal of this width has room."""
    found = list(columns)
    room = {column: max(len(column.heading), *(len(cell(column, item)) for item in items)) + 2 for column in found}
    for column in sorted((column for column in columns if column.drop), key=lambda column: -column.drop):
        if sum(room[column] for column in found) - 2 <= width:
            break
        found.remove(column)
    return found


def _print(items: Sequence[dict[str, Any]], columns: Sequence[Column]) -> None:
    from rich.console import Console  # Late, as above.

    if sys.stdout.isatty():
        terminal = Console(highlight=False)
        terminal.print(table(items, fitting(items, telling(items, columns), terminal.width)))
        return
    # A pipe has no width: nothing may be cut off, wrapped or padded for it.
    console = Console(width=10_000, highlight=False)
    with console.capture() as capture:
        console.print(table(items, columns))
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
