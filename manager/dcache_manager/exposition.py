"""What nodes and jobs say of themselves, as Prometheus reads it: for the textfile collector of its node_exporter.

What the processes of the site measure is django_dcache.metrics.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from .formatting import printable
from .inspection.fleet_report import FleetReport

NODES = {
    "items": ("node_items", "gauge", "Items on the node."),
    "bytes": ("node_bytes", "gauge", "Bytes that they use."),
    "limit_bytes": ("node_limit_bytes", "gauge", "Bytes that they may use."),
    "evictions": ("node_evictions_total", "counter", "Items that were dropped for want of memory."),
    "connections": ("node_client_connections", "gauge", "Open connections to the node, of all clients."),
    "owns": ("node_owns", "gauge", "The node's share of the keys, from 0 to 1."),
}
"""By the field of `status --json`: name, type and help."""


def exposition(seen: FleetReport, jobs: Iterable[Mapping[str, Any]], now: float | None = None) -> str:
    """The text. `seen`: had with `resize=True`. `jobs`: those that are not over, as `jobs.history` has them."""
    return "\n".join(_lines(seen, list(jobs), time.time() if now is None else now)) + "\n"


def _lines(seen: FleetReport, jobs: list[Mapping[str, Any]], now: float) -> Iterator[str]:
    fleet, rows = seen.configuration.fleet, seen.rows()
    yield from _head("fleet_epoch", "gauge", "The epoch of the map that the keepers hold.")
    yield _line("fleet_epoch", seen.topology.epoch, fleet=fleet, phase=str(seen.topology.phase))
    yield from _head("fleet_proven", "gauge", "1 if a majority of the keepers holds it.")
    yield _line("fleet_proven", int(seen.proven), fleet=fleet)
    yield from _head("node_state", "gauge", "1 for the state that `dcache-admin status` shows.")
    for row in rows:
        yield _line("node_state", 1, fleet=fleet, node=row["name"], state=row["state"])
    for field, (name, kind, text) in NODES.items():
        yield from _head(name, kind, text)
        for row in rows:
            if row[field] is not None:
                yield _line(name, row[field], fleet=fleet, node=row["name"])
    yield from _head("job_silent_seconds", "gauge", "Seconds since an unfinished job was heard of.")
    report = seen.progress
    for job in jobs:
        heard = datetime.fromisoformat(job["at"]).timestamp()
        if report and report.job == job["job"]:  # A command writes into its journal with each phase only.
            heard = max(heard, report.updated)
        silent = max(0.0, now - heard)
        labels = {"fleet": fleet, "kind": job.get("kind") or "rebalance", "job_name": job["job"]}
        yield _line("job_silent_seconds", round(silent, 1), **labels, state=job["state"])


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP dcache_{name} {text}"
    yield f"# TYPE dcache_{name} {kind}"


def _line(name: str, number: float, **labels: str) -> str:
    named = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"dcache_{name}{{{named}}} {number}"


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')
