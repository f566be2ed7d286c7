"""dcache-admin ring: where keys live."""

from collections.abc import Sequence

import click

from ...rebalance.layout_change import Edits, layout_options
from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices


@click.group("ring", cls=Noun)
def command() -> None:
    """Where keys live, and who owns how much."""


@command.command("show")
@pass_choices
def show(choices: Choices) -> int:
    """Each node's share of the hash space, as owner."""
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ..output import Answer, Column, share, write

    target = find(choices)
    sighting = look(target, choices.timeout)
    wanted = ("name", "address", "zone", "weight", "owns")
    items = [{name: row[name] for name in wanted} for row in sighting.rows()]
    for item in items:
        weights = sum(node.weight for node in sighting.truth.nodes)
        item["expected"] = round(item["weight"] / weights, 6) if sighting.truth.node(item["name"]) else 0.0
    layout = sighting.truth
    title = f"{target.alias}: {layout.ring} ring, {len(layout.nodes)} nodes, replicas {layout.replicas}"
    answer = Answer.about(sighting, "ring", items, title)
    columns = [
        Column("name", "NAME"),
        Column("address", "ADDRESS"),
        Column("zone", "ZONE"),
        Column("weight", "WEIGHT", right=True),
        Column("owns", "OWNS", share, right=True),
        Column("expected", "BY WEIGHT", share, right=True),
    ]
    write(answer, columns, choices)
    return Exit.PARTIAL if answer.errors else Exit.OK


@command.command("locate")
@click.argument("keys", metavar="KEY…", nargs=-1, required=True)
@pass_choices
def locate(choices: Choices, keys: Sequence[str]) -> int:
    """The nodes that hold each KEY, owner first.

    KEY is what the application passes to Django: KEY_PREFIX, VERSION and KEY_FUNCTION of the alias are applied. Without
    a project it is the whole key as Django makes it.
    """
    from ...inspection.fleet_report import look
    from ...inspection.locate import locate as located
    from ...inspection.target import find
    from ..output import Answer, Column, names, write

    target = find(choices)
    sighting = look(target, choices.timeout)
    items, refused = located(target, sighting, keys)
    answer = Answer.about(sighting, "locate", items)
    answer.errors += refused
    columns = [
        Column("key", "KEY"),
        Column("made_key", "MADE KEY"),
        Column("node", "NODE"),
        Column("address", "ADDRESS"),
        Column("replicas", "REPLICAS", names),
        Column("slot", "SLOT", right=True),
    ]
    write(answer, columns, choices)
    if len(refused) == len(keys):
        return Exit.USAGE
    return Exit.PARTIAL if answer.errors else Exit.OK


@command.command("diff")
@layout_options
@pass_choices
def diff(choices: Choices, edits: Edits) -> int:
    """Each node's share before and after: of the change in the options, of LOCATION, or of the resize under way."""
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ...rebalance.layout_change import planned
    from ...rebalance.service import show_plan

    target = find(choices)
    sighting = look(target, choices.timeout)
    return show_plan(choices, sighting, planned(target, sighting.topology, edits, choices.note))
