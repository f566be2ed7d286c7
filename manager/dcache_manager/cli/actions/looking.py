"""`status`, `node list`, `ring`, `verify`, `doctor`: looks at a fleet, as answers."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import click
from django.conf import settings
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ...doctor import broker_check
from ...doctor.fleet_checks import examine
from ...errors import NothingReachable
from ...exposition import exposition
from ...formatting import age, count, names, printable, share, size
from ...inspection import repair as mending
from ...inspection.fleet_report import look
from ...inspection.next_steps import next_steps
from ...inspection.outages import silent_since
from ...inspection.target import Target
from ...inspection.verify import Verification
from ...jobs.history import unfinished
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, fitting, table, telling, write

_name = [Column("name", "NAME"), Column("address", "ADDRESS", drop=6), Column("zone", "ZONE", drop=3)]
_weight, _owns = Column("weight", "WEIGHT", right=True, drop=4), Column("owns", "OWNS", share, right=True)
_version = Column("version", "VERSION", drop=8)

status_columns = [
    Column("state", "STATE"),
    *_name,
    _weight,
    _owns,
    Column("items", "ITEMS", count, right=True),
    Column("bytes", "USED", size, right=True),
    Column("limit_bytes", "OF", size, right=True, drop=5),
    Column("hit_ratio", "HITS", share, right=True, drop=1),
    Column("evictions", "EVICTED", count, right=True, drop=2),
    Column("connections", "CONNS", count, right=True, drop=7),
    Column("since", "FOR", age, right=True),
    _version,
]
node_columns = [*_name, _weight, Column("state", "STATE"), _owns, _version]
ring_columns = [*_name, _weight, _owns, Column("expected", "BY WEIGHT", share, right=True)]
key_columns = [
    Column("key", "KEY"),
    Column("made_key", "MADE KEY"),
    Column("node", "NODE"),
    Column("address", "ADDRESS"),
    Column("replicas", "REPLICAS", names),
    Column("slot", "SLOT", right=True),
]
doctor_columns = [
    Column("verdict", "RESULT"),
    Column("check", "CHECK"),
    Column("node", "NODE"),
    Column("detail", "FOUND"),
    Column("fix", "WHAT TO DO"),
]


def status(choices: Choices, target: Target) -> int:
    answer = _status(choices, target)
    write(answer, status_columns, choices, errors=False)  # The next steps tell of each.
    degraded = any(row["state"] == "out" and row["version"] is None for row in answer.items)
    return Exit.PARTIAL if degraded or any("interrupted" in step for step in answer.next_steps) else _code(answer)


def metrics(choices: Choices, target: Target) -> int:
    """Print text for Prometheus. Exit 3 if a node does not answer."""
    seen = look(target, choices.timeout, resize=True)
    click.echo(exposition(seen, unfinished(target.name)), nl=False)
    return Exit.PARTIAL if seen.errors() else Exit.OK


def watch_status(choices: Choices, target: Target, every: float) -> int:
    """Never returns."""
    terminal = sys.stdout.isatty() and not choices.json
    with Live(auto_refresh=False) if terminal else nullcontext() as live:
        while True:
            try:
                answer = _status(choices, target)
            except NothingReachable as error:
                answer = Answer("status", [], [{"error": type(error).__name__, "message": str(error)}], target.alias)
            if live:
                troubles = [Text(printable(error["message"]), "red") for error in answer.errors]
                columns = fitting(answer.items, telling(answer.items, status_columns), live.console.width)
                steps = map(Text, map(printable, answer.next_steps))
                title = Text(printable(answer.title))
                live.update(Group(title, table(answer.items, columns), *steps, *troubles), refresh=True)
            else:
                write(answer, status_columns, choices)
                sys.stdout.flush()
            time.sleep(every)


def _status(choices: Choices, target: Target) -> Answer:
    seen = look(target, choices.timeout)
    rows, topology = seen.rows(), seen.topology
    if target.wanted:
        silent = silent_since(target.name, [row["name"] for row in rows if row["state"] == "down"])
        for row in rows:
            if moment := silent.get(row["name"]):
                row["since"] = moment.isoformat(timespec="seconds")
    up = sum(row["state"] not in ("down", "suspect", "out") for row in rows)
    unknown = "no state that is believed" if seen.refused else "not planted yet"
    where = f"epoch {topology.epoch}, {topology.phase}" if seen.planted else unknown
    if topology.target:
        seen = look(target, choices.timeout, resize=True)  # Only now: each node counts a miss for what is not there.
    answer = Answer.about(seen, "status", rows, f"{target.alias}: {where}, {up} of {len(rows)} nodes up")
    answer.next_steps = next_steps(seen)
    answer.more = {"next": answer.next_steps}
    return answer


def list_nodes(choices: Choices, target: Target) -> int:
    seen = look(target, choices.timeout)
    wanted = ("name", "address", "zone", "weight", "state", "owns", "version")
    answer = Answer.about(seen, "nodes", [{name: row[name] for name in wanted} for row in seen.rows()])
    write(answer, node_columns, choices)
    return _code(answer)


def show_ring(choices: Choices, target: Target) -> int:
    seen = look(target, choices.timeout)
    layout = seen.serving
    weights = sum(node.weight for node in layout.nodes)
    items = [{name: row[name] for name in ("name", "address", "zone", "weight", "owns")} for row in seen.rows()]
    for item in items:
        item["expected"] = round(item["weight"] / weights, 6) if layout.node(item["name"]) else 0.0
    title = f"{target.alias}: {layout.ring} ring, {len(layout.nodes)} nodes, replicas {layout.replicas}"
    answer = Answer.about(seen, "ring", items, title)
    write(answer, ring_columns, choices)
    return _code(answer)


def locate(choices: Choices, target: Target, keys: Sequence[str]) -> int:
    seen = look(target, choices.timeout)
    items, refused = seen.locate(target, keys)
    answer = Answer.about(seen, "locate", items)
    answer.errors += refused
    write(answer, key_columns, choices)
    return Exit.USAGE if len(refused) == len(keys) else _code(answer)


def verify(choices: Choices, target: Target, repair: bool, sample: int) -> int:
    if repair:
        choices.confirm("Delete all copies that differ, and all copies on nodes that are no replica of their key?")
    with target.connected() as fleet:
        found = Verification(fleet, time.sleep).run(repair, sample)
    answer = Answer.about(look(target, choices.timeout), "verify", [found.to_json()])
    answer.title = (
        f"{found.keys} keys, {found.copies} copies: {found.divergent} keys differ, "
        f"{sum(found.missing.values())} copies missing, {sum(found.strays.values())} strays, {found.repaired} repaired"
    )
    write(answer, [], choices)
    for name in found.silent:
        choices.note(f"{name} could not be compared: it does not list its keys, or does not answer.")
    for name, number in found.missing.items():
        choices.note(f"{name} lacks {number} copies; `node down {name}` and `node up {name}` fill it again.")
    return Exit.OK if found.clean or (repair and not found.silent) else Exit.PARTIAL


def repair(choices: Choices, target: Target, node: str) -> int:
    target.require_project()
    seen = look(target, choices.timeout)
    if node in seen.refused:
        instead = (
            "The state of the other keepers takes its place."
            if seen.proven
            else "No majority of keepers holds a state to be believed: once none of them holds another, the fleet is "
            "planted anew from LOCATION, and every value is a miss once."
        )
        choices.confirm(f"{printable(str(seen.refused[node]))}\nRemove it? {instead}")
    proven = mending.repair(target, seen, node)
    answer = Answer.about(look(target, choices.timeout), "state", [{"name": node, "repaired": True}])
    answer.title = f"{node} holds the fleet's state again." if proven else f"Removed what {node} held."
    write(answer, [], choices)
    return _code(answer)


def doctor(choices: Choices, target: Target, problems: bool = False, without: Sequence[str] = ()) -> int:
    seen = look(target, choices.timeout, target.wanted.nodes if target.wanted else (), resize=True)
    found = examine(target, seen, choices.timeout)
    if target.wanted:
        found += broker_check.findings(choices.timeout, settings.DEBUG)
    findings = [finding._asdict() for finding in found if finding.check.replace(" ", "-") not in without]
    failed, warned = (sum(item["verdict"] == verdict for item in findings) for verdict in ("fail", "warn"))
    shown = [item for item in findings if not problems or item["verdict"] != "ok"]
    answer = Answer.about(seen, "doctor", shown)
    answer.title = f"{target.alias}: {len(findings)} checks, {failed} failed, {warned} warning{'s' * (warned != 1)}"
    answer.errors = [
        {"node": item["node"], "error": item["check"], "message": item["detail"]}
        for item in findings
        if item["verdict"] == "fail"
    ]
    if not choices.json:
        answer.items = together(shown)
    write(answer, doctor_columns, choices, errors=False)
    return Exit.PARTIAL if failed else Exit.OK


def together(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For people, what was found on several nodes once, with their names."""
    found: dict[tuple[Any, ...], list[str | None]] = {}
    for item in findings:
        found.setdefault(tuple(value for name, value in item.items() if name != "node"), []).append(item["node"])
    names = [name for name in findings[0] if name != "node"] if findings else []
    return [dict(zip(names, said, strict=True), node=", ".join(filter(None, on))) for said, on in found.items()]


def _code(answer: Answer) -> int:
    return Exit.PARTIAL if answer.errors else Exit.OK
