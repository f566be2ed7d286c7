"""The same tables for a terminal, for the documentation, and for a program."""

import json
from collections.abc import Sequence
from typing import Any

from .table import Row, Table

BUSY = 2.0
_BUSY = " (busy with other work: single figures may be far off, run it again)"

_HEAD = """# Benchmarks

`benchmarks/run --page` writes this page; `benchmarks/run` alone measures what there is a bound for, and prints it.
Client and nodes share one core; samples of two milliseconds alternate between all backends and operations, and the
least of each counts. Small values are a dict that pickles to about a hundred bytes. Compare within a table: another
machine gives other figures, and much the same ratios. "Ours" is pure Python; "ours + speed" has the compiled extra.

"Best peer" is the best of all backends of a column, whatever they do; "best peer on these nodes" leaves out those with
one Redis node, which have less to do: nothing is spread. Beside them django-dcache has three Redis nodes in tables of
their own: a call with many keys asks three servers where theirs asks one, on the same core.
Of the million keys each is read once by a process that has never seen it, so nothing that is remembered about a key
helps.
What the figures mean for large fleets is in [scale](../explanation/scale.md).
"""


def as_text(machine: dict[str, Any], skipped: dict[str, str], tables: Sequence[Table]) -> str:
    lines = [_machine(machine), *(f"skipped  {name}: {reason}" for name, reason in skipped.items())]
    for table in tables:
        lines += ["", table.title, *_aligned(_cells(table)), *table.notes]
    return "\n".join(lines)


def as_markdown(machine: dict[str, Any], skipped: dict[str, str], tables: Sequence[Table]) -> str:
    lines = [_HEAD, _machine(machine)]
    if skipped:
        lines += ["", "Not measured: " + "; ".join(f"{name} ({reason})" for name, reason in skipped.items()) + "."]
    for table in tables:
        head, *body = _cells(table)
        lines += ["", f"## {table.title}", "", _piped(head), _piped(["---", *["---:"] * (len(head) - 1)])]
        lines += [_piped(row) for row in body]
        lines += ["", *table.notes] if table.notes else []
    return "\n".join(lines)


def as_json(machine: dict[str, Any], skipped: dict[str, str], tables: Sequence[Table]) -> str:
    entries = [{"title": table.title, "rows": table.rows, "ratios": table.ratios()} for table in tables]
    return json.dumps({"schema": "dcache.benchmarks/v1", **machine, "skipped": skipped, "tables": entries}, indent=1)


def _machine(machine: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    servers = f"memcached {machine['memcached']}, Redis {machine['redis']}"
    return (
        f"{machine['date']}. {machine['machine']}, {machine['system']}; {machine['pinned']}. "
        f"Load average when it began: {machine['load']}{_BUSY if machine['load'] > BUSY else ''}. "
        f"Python {machine['python']}, Django {machine['django']}, {servers}. {packages}."
    )


def _cells(table: Table) -> list[list[str]]:
    columns = table.columns
    form = _ratio if table.ratios_only else _figure
    plain = [[name, *(form(row, column) for column in columns)] for name, row in table.rows.items()]
    ratios = [[name, *(_ratio(row, column) for column in columns)] for name, row in table.ratios().items()]
    return [["", *columns], *plain, *ratios]


def _figure(row: Row, column: str) -> str:
    if column not in row:
        return "–"
    return f"{row[column]:.1f}" if row[column] < 200 else f"{row[column]:,.0f}"


def _ratio(row: Row, column: str) -> str:
    return f"{row[column]:.2f}" if column in row else "–"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([name.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(cells, widths[1:], strict=True))])
        for name, *cells in rows
    ]


def _piped(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
