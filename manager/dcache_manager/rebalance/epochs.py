"""The epochs of a fleet that conductors wrote down, and what each of them changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django_dcache.errors import InvalidTopology
from django_dcache.model.topology import Topology

from ..models import TopologyChange
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Epoch:
    number: int
    phase: str
    at: datetime
    job: str
    changes: list[str]
    """Against the epoch before that was written down, a sentence each."""
    unwritten: int
    """How many epochs lie between the two: processes that take a node out, or back, write down none."""


def epochs(fleet: str, most: int) -> list[Epoch]:
    """The last ones, the newest first."""
    rows = TopologyChange.objects.filter(fleet=fleet).select_related("job")[: most + 1]
    # Two jobs may have published one epoch: the second continued for the first.
    by_number = {row.epoch: row for row in sorted(rows, key=lambda row: row.pk)}
    newest = [by_number[number] for number in sorted(by_number, reverse=True)]
    return [_epoch(row, newest[place + 1 : place + 2]) for place, row in enumerate(newest[:most])]


def _epoch(row: TopologyChange, before: Sequence[TopologyChange]) -> Epoch:
    unwritten = row.epoch - before[0].epoch - 1 if before else 0
    try:
        after = Topology.from_json(row.document)
        changes = differences(Topology.from_json(before[0].document), after) if before else ["the first that is known"]
    except InvalidTopology as error:
        changes = [str(error)]
    return Epoch(row.epoch, row.phase, row.at, row.job.name, changes, unwritten)


def differences(before: Topology, after: Topology) -> list[str]:
    """What became of one topology in another. Pure."""
    lines = []
    if before.phase != after.phase:
        lines.append(f"phase {before.phase} becomes {after.phase}")
    if after.target and after.target != before.target:
        lines += [f"to be done: {change}" for change in Plan(after.epoch, after.layout, after.target).changes]
    if before.layout != after.layout:
        lines += Plan(after.epoch, before.layout, after.layout).changes
    elif before.target and not after.target:
        lines.append("back to the layout before")
    return lines or ["no change of the layout"]
